"""Hyperparameter searches on planted losses: what is tried, what is found, what is said of it."""

import math
import random
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from muscope import spec_file
from muscope.plan import plan
from muscope.reports import set_table
from muscope.spec import (
    Arm,
    ModelSpec,
    OptimizerSpec,
    ParametrizationSpec,
    StudySpec,
    digest,
)
from muscope.tuning import RATE, Method, Point, Tuning, point
from muscope.verdicts.hyperparameters.judge import judge
from muscope.verdicts.hyperparameters.stability import Stability, growth, spikes
from muscope.verdicts.hyperparameters.trials import SetTrial
from muscope.vocabulary import SearchVerdict
from tests.core.searches import NAMES, STEADY, Landscape, bowl, carried_out

METHODS: tuple[Method, ...] = ("independent", "pairwise", "random", "sobol", "halton")


def search(
    method: Method, *, draw: int = 0, keep: tuple[int, ...] = (5,), seeds: int = 3
) -> StudySpec:
    """µP of a small MLP over three hyperparameters, nine values each."""
    samples = 64 if method in ("random", "sobol", "halton") else 0
    adam = OptimizerSpec(name="adamw", learning_rate=2**-6)
    return StudySpec(
        name="search",
        kind="hyperparameter_search",
        arms=(Arm(model=ModelSpec(name="mlp", batch_size=8), optimizers=(adam,)),),
        parametrizations=(ParametrizationSpec(name="mup"),),
        widths=(32, 64, 128)[: 1 + len(keep)],
        depths=(1,),
        octaves=tuple(float(octave) for octave in range(-4, 5)),
        seeds=seeds,
        steps=100,
        tuning=Tuning(
            method=method,
            samples=samples,
            draw=draw,
            ranges=dict.fromkeys(NAMES, (-4.0, 4.0)),
            keep=keep,
        ),
    )


@pytest.mark.parametrize("method", METHODS)
def test_a_planted_bowl_is_found(method: Method) -> None:
    _, judged = carried_out(search(method), bowl)
    assert judged.winning is not None
    found = judged.winning.octaves
    # a grid has the minimum itself; of 64 points in a cube of 8 octaves one is rarely further away
    reach = {"independent": 0.0, "pairwise": 2.0}.get(method, 2.5)
    assert math.dist(found.values(), (-1.0, 2.0, -2.0)) <= reach
    assert judged.winning.learning_rate == pytest.approx(2 ** (-6 + found[RATE]))
    assert judged.verdict is SearchVerdict.HOLDS


@pytest.mark.parametrize("method", METHODS)
@given(draw=st.integers(0, 1000))
@settings(max_examples=3, deadline=None)
def test_the_same_spec_tries_the_same_sets_within_its_ranges_and_no_more_runs_than_planned(
    method: Method, draw: int
) -> None:
    spec = search(method, draw=draw, seeds=1)
    runs, _ = carried_out(spec, bowl)
    again, _ = carried_out(StudySpec.model_validate_json(spec.model_dump_json()), bowl)
    assert list(map(digest, runs)) == list(map(digest, again))
    assert len({digest(run) for run in runs}) == len(runs) <= plan(spec).run_count
    assert all(-4 <= octave <= 4 for run in runs for octave in (run.octave, *run.tuned.values()))
    assert all({run.width for run in runs if run.width > 32} == {64} for run in runs)


def test_another_draw_tries_other_sets() -> None:
    one, _ = carried_out(search("sobol"), bowl)
    other, _ = carried_out(search("sobol", draw=1), bowl)
    assert {run.octave for run in one} != {run.octave for run in other}


def test_a_set_that_spikes_where_it_is_carried_to_is_not_chosen() -> None:
    def spiking(width: int, of: Point, seed: int) -> tuple[float, Stability]:
        loss, steady = bowl(width, of, seed)
        best = of == point(-1.0, {NAMES[0]: 2.0, NAMES[1]: -2.0})
        return loss, Stability(1, 0.5) if best and width == 64 else steady

    _, judged = carried_out(search("independent"), spiking)
    chosen = judged.numbered(judged.chosen)
    assert chosen is not None
    at_64 = chosen.at(64)
    assert at_64 is not None
    assert (at_64.is_steady, at_64.spikes) == (False, 3)
    assert judged.winner != judged.chosen
    assert at_64.rank == 5, "behind every steady one, though its loss is the least"


def test_a_choice_that_is_worse_at_the_larger_width_loses() -> None:
    def moving(width: int, of: Point, seed: int) -> tuple[float, Stability]:
        away = abs(of.at(NAMES[0]) + (width == 64))
        return 2.0 + 0.1 * away + of.octave**2 + of.at(NAMES[1]) ** 2 + 0.001 * seed, STEADY

    _, judged = carried_out(search("independent"), moving)
    assert judged.verdict is SearchVerdict.LOSES
    assert judged.agreements[-1].regret == pytest.approx(0.1)


@pytest.mark.parametrize("rates", [(-2.0, -1.0, 0.0, 1.0), (1.0, 2.0, 3.0)])
@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_pairs_are_counted_without_being_made(rates: tuple[float, ...], count: int) -> None:
    names = [f"m{number}" for number in range(count)]
    ranges = {name: (-1.0, 1.0 + number) for number, name in enumerate(names)}
    tuning = Tuning(method="pairwise", ranges=ranges, keep=(1,))
    assert tuning.most(names, rates) == len(set(tuning.pairs(names, rates)))


def test_a_choice_that_diverges_at_the_larger_width_loses() -> None:
    def breaking(width: int, of: Point, seed: int) -> tuple[float, Stability]:
        loss, steady = bowl(width, of, seed)
        is_chosen = of.octave == -1.0 and of.at(NAMES[0]) == 2.0 and of.at(NAMES[1]) == -2.0
        return (math.inf if width == 64 and is_chosen else loss), steady

    _, judged = carried_out(search("independent"), breaking)
    assert judged.verdict is SearchVerdict.LOSES
    assert "it diverged" in judged.sentence()


def test_every_larger_width_gets_as_many_sets_as_go_on_and_always_the_choice() -> None:
    runs, judged = carried_out(search("halton", keep=(6, 2)), bowl)
    tried = {
        width: {point(run.octave, run.tuned) for run in runs if run.width == width}
        for width in (64, 128)
    }
    assert (len(tried[64]), len(tried[128])) == (6, 2)
    assert tried[128] < tried[64]
    chosen = judged.numbered(judged.chosen)
    assert chosen is not None
    assert chosen.at(128) is not None


def test_a_search_of_which_everything_diverged_ends_and_names_nothing() -> None:
    runs, judged = carried_out(search("independent"), lambda *_: (math.inf, STEADY))
    assert {run.tuned == {} for run in runs} == {True}, "no multiplier is swept at no rate"
    assert judged.winner is None
    assert judged.verdict is SearchVerdict.INCONCLUSIVE


def _plane(interaction: float) -> Landscape:
    """The best readout moves with the rate by so many octaves each."""

    def landscape(width: int, of: Point, seed: int) -> tuple[float, Stability]:
        rate, readout = of.octave, of.at(NAMES[1])
        return 2.0 + 0.1 * rate**2 + 0.1 * (readout - interaction * rate) ** 2, STEADY

    return landscape


def test_transfer_errors_are_what_the_formula_says_and_zero_where_nothing_depends() -> None:
    def error(interaction: float) -> float:
        _, judged = carried_out(search("pairwise"), _plane(interaction))
        found = {(one.fixed, one.of): one.error for one in judged.transfer_errors}
        assert found[NAMES[0], NAMES[1]] == 0.0
        return found[RATE, NAMES[1]]

    assert error(0.0) == 0.0
    # at rate r the readout that is best at rate 0 loses 0.1 r²: the mean over -4..4 is 0.1 * 60 / 9
    assert error(1.0) == pytest.approx(0.1 * 60 / 9)


def test_the_winner_at_the_end_of_a_range_is_said_to_be_there() -> None:
    def falling(width: int, of: Point, seed: int) -> tuple[float, Stability]:
        return 2.0 + 0.1 * abs(of.octave) - 0.1 * of.at(NAMES[0]) + of.at(NAMES[1]) ** 2, STEADY

    _, judged = carried_out(search("independent"), falling)
    assert judged.at_edge == (NAMES[0],)


@given(
    steps=st.integers(100, 300),
    at=st.integers(40, 90),
    height=st.floats(1.0, 50),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None)
def test_a_planted_spike_is_counted_and_a_noisy_fall_has_none(
    steps: int, at: int, height: float, seed: int
) -> None:
    calm = falling_curve(steps, seed)
    assert spikes(calm) == 0
    assert spikes([loss + height * (step == at) for step, loss in enumerate(calm)]) == 1
    assert spikes([*calm[:at], math.nan, *calm[at + 1 :]]) == 1


def falling_curve(steps: int, seed: int) -> list[float]:
    """2 + a fall, with a ripple of 0.02 that no generator decides."""
    return [
        2.0 + 3.0 * math.exp(-step / 30) + 0.02 * math.sin(12.9898 * (step + 7 * seed))
        for step in range(steps)
    ]


def test_a_gradient_that_ends_four_times_as_large_has_grown_two_octaves() -> None:
    falls: Sequence[float] = [8.0] * 20 + [1.0] * 100
    assert growth([*falls, *[4.0] * 40]) == pytest.approx(2.0)
    assert growth(falls) == 0.0
    assert growth([1.0] * 12) is None
    assert not Stability(0, 2.1).is_steady


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method": "sobol", "samples": 20}, "take 16 or 32"),
        ({"method": "random", "samples": 0}, "needs samples"),
        ({"samples": 8}, "spacing octaves apart"),
        ({"keep": (2, 3)}, "more than there are"),
        ({"ranges": {"readout_multiplier": (1.0, 1.0)}}, "from its lowest octave to its highest"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_in_a_sentence(
    changes: dict[str, object], words: str
) -> None:
    whole = {"method": "independent", "keep": (3,)} | changes
    with pytest.raises(ValidationError, match=words):
        Tuning.model_validate(whole)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tuning": None}, "needs tuning"),
        ({"kind": "lr_transfer"}, "tuning is for studies of kind hyperparameter_search"),
        ({"octaves": (0.0, 1.0)}, "at least 3 octaves"),
        ({"widths": (32, 64, 128)}, "each width after the smallest"),
        ({"depths": (1, 2)}, "one depth"),
        ({"search": "adaptive"}, "no meaning in a hyperparameter search"),
        ({"extends": "abc"}, "no meaning in a hyperparameter search"),
    ],
)
def test_a_study_that_does_not_fit_its_rule_is_refused_in_a_sentence(
    changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        StudySpec.model_validate({**dict(search("independent")), **changes})


def test_a_multiplier_that_changes_nothing_is_refused_by_name() -> None:
    tuning = Tuning(method="independent", ranges={"attention_multiplier": (-1.0, 1.0)}, keep=(1,))
    with pytest.raises(ValidationError, match="'attention_multiplier' changes nothing"):
        StudySpec.model_validate({**dict(search("independent")), "tuning": tuning})


def test_a_model_that_the_rules_do_not_cover_is_refused_with_their_reason() -> None:
    adam = OptimizerSpec(name="adamw", learning_rate=1.0)
    arm = Arm(model=ModelSpec(name="resnet", batch_size=8), optimizers=(adam,))
    given = {"arms": (arm,), "parametrizations": (ParametrizationSpec(name="u_mup"),)}
    with pytest.raises(ValidationError, match="u_mup"):
        StudySpec.model_validate({**dict(search("independent")), **given})


def test_the_study_of_the_how_to_is_one() -> None:
    page = Path(__file__).parents[2] / "docs/how-to/search-hyperparameters.md"
    found = re.search(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    assert found is not None
    spec = spec_file.from_yaml(found.group(1), "the how-to")
    # 5 rates, 5 multipliers of 4 values each, their combination, 7 that go on: 3 seeds of each
    assert plan(spec).run_count == 3 * (5 + 20 + 1 + 7)


def test_the_winner_makes_a_variant_of_any_study() -> None:
    spec = search("independent")
    _, judged = carried_out(spec, bowl)
    assert judged.winning is not None
    found = judged.winning.applied_to(spec.variants[0])
    assert found.optimizer.learning_rate == pytest.approx(2**-7)
    assert found.parametrization.complete["embedding_multiplier"] == 4.0
    assert found.parametrization.complete["readout_multiplier"] == 0.25


def test_a_choice_that_holds_says_among_how_many_sets() -> None:
    _, judged = carried_out(search("independent"), bowl)
    assert judged.verdict is SearchVerdict.HOLDS
    last = judged.widths[-1]
    others = sum(of.at(last) is not None for of in judged.sets) - 1
    assert f"is as good as the {others} others tried at width {last}" in judged.sentence()


def test_of_ten_sets_one_that_is_lucky_does_not_make_the_choice_lose() -> None:
    """A regret of exactly the tolerance: one study in twenty may say that it is more, or less."""
    spec, chance = search("independent", keep=(10,)), random.Random(7)
    (variant,) = spec.variants
    words = []
    for _ in range(60):
        trials = [
            SetTrial(
                variant.key,
                width,
                Point(octave / 2),
                seed,
                2.0 + (octave != 0)
                if width == 32
                else chance.gauss(2.01 - 0.01 * bool(octave), 0.02),
            )
            for width in (32, 64)
            for octave in range(10)
            for seed in range(spec.seeds)
        ]
        (judged,) = judge(spec, trials, runs_judged={}, final=True)
        words.append(judged.verdict)
    # 3 of 60 expected, and three binomial standard deviations of 1.7; by one interval 10 lose
    assert words.count(SearchVerdict.LOSES) <= 8
    assert words.count(SearchVerdict.HOLDS) <= 8


def test_a_choice_that_went_on_alone_was_compared_with_nothing() -> None:
    """More seeds would not tell either: nothing else was tried at the larger width."""
    _, judged = carried_out(search("independent", keep=(1,)), bowl)
    assert judged.verdict is SearchVerdict.INCONCLUSIVE
    assert judged.sentence().endswith("no other was tried there; keep more sets")


def test_the_csv_says_that_growth_is_in_octaves() -> None:
    _, judged = carried_out(search("independent"), bowl)
    header, *_ = set_table.as_csv([judged])
    assert "growth_octaves" in header.split(",")
    assert "growth" not in header.split(",")
