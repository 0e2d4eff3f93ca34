"""A study that may stop early is wrong no more often, and asks only for seeds that it needs."""

import io
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, strategies
from rich.console import Console

from muscope import plan
from muscope.records import Sample
from muscope.reports import card, formats
from muscope.reports.slope_table import slope_table
from muscope.reports.verdict_table import verdict_table
from muscope.spec import StudySpec, canonical_json, digest
from muscope.stages.early_stop import next_runs
from muscope.verdicts.judge import judge
from muscope.verdicts.looks import CONFIDENCE, confidence, looks
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict, Statistic
from tests.core.grids import Law, samples, study, with_value
from tests.core.looking import families, judged_in_looks, judged_once
from tests.core.test_judge import grows_as


def stopping(seeds: int = 10, **changes: object) -> StudySpec:
    """The synthetic study, which may stop early."""
    return study(parametrization="sp", seeds=seeds).model_copy(
        update={"stop_early": True, **changes}
    )


def after(spec: StudySpec, measured: Sequence[Sample], seeds: int) -> VariantVerdict:
    """The verdict on a study of one variant when so many seeds are in."""
    here = [sample for sample in measured if sample.seed < seeds]
    (variant,) = spec.variants
    judged = {variant.key: len({(s.width, s.depth, s.seed) for s in here})}
    (verdict,) = judge(spec, here, runs_judged=judged, final=False)
    return verdict


def test_a_study_that_does_not_stop_early_has_the_digest_that_it_had() -> None:
    spec = study()
    assert "stop_early" not in canonical_json(spec)
    assert digest(spec.model_copy(update={"stop_early": True})) != digest(spec)


@pytest.mark.parametrize(
    ("seeds", "planned"),
    [(1, (1,)), (4, (4,)), (5, (3, 5)), (10, (3, 5, 10)), (64, (4, 8, 16, 32, 64))],
)
def test_looks_are_halves_of_the_seeds_down_to_three(seeds: int, planned: tuple[int, ...]) -> None:
    assert looks(stopping(seeds)) == planned
    assert looks(study(seeds=seeds)) == (seeds,)


@given(seeds=strategies.integers(1, 64))
def test_the_errors_of_all_looks_together_are_those_of_one(seeds: int) -> None:
    spec = stopping(seeds)
    errors = [1 - confidence(spec, look) for look in looks(spec)]
    assert math.fsum(errors) == pytest.approx(1 - CONFIDENCE)
    assert max(errors) == errors[-1]


AT, BEYOND = 0.1, 0.1001
"""Where a word is wrong most often: on the tolerance, and just outside it."""


@pytest.mark.parametrize("seeds", [5, 10])
@pytest.mark.parametrize(
    ("exponents", "noises"),
    [
        ([AT], [0.05]),
        ([BEYOND], [0.05]),
        ([AT] * 20, [0.05] * 20),
        ([BEYOND] * 20, [0.05] * 20),
        ([AT] + [0.0] * 19, [0.1] + [0.005] * 19),
        ([BEYOND] + [0.0] * 19, [0.03] + [0.005] * 19),
        ([0.0] * 20, [0.2] * 20),
        ([0.7] * 10 + [AT] * 10, [0.03] * 10 + [0.05] * 10),
        ([0.7] * 10 + [BEYOND] * 10, [0.03] * 10 + [0.05] * 10),
    ],
)
def test_a_family_of_cells_gets_a_wrong_word_no_more_often_than_with_all_seeds(
    exponents: list[float], noises: list[float], seeds: int
) -> None:
    """The same draws for both designs, so that the comparison is not one of luck."""
    values = families(exponents, noises, seeds=seeds, count=3000 if len(exponents) == 1 else 600)
    once, early = judged_once(values), judged_in_looks(stopping(seeds), values)
    assert early.wrong(exponents) <= once.wrong(exponents)


def test_one_cell_gets_a_wrong_word_in_no_more_than_one_of_twenty() -> None:
    values = families([AT], [0.05], seeds=10, count=4000)
    share = judged_in_looks(stopping(10), values).wrong([AT])
    assert share < 0.05 + 0.01  # three standard errors of a share of 4000


def test_growth_by_noise_stops_nothing() -> None:
    """In a third of these families a cell seems to grow after three seeds."""
    values = families([0.0] * 20, [0.3] * 20, seeds=10, count=300)
    seems = judged_once(values[..., :3])
    early = judged_in_looks(stopping(10), values)
    assert (seems.words == "grows").any(axis=1).mean() > 0.2
    assert (early.seeds == 10).mean() > 0.98


def test_certain_growth_stops_after_three_seeds_and_the_verdict_says_so() -> None:
    verdict = decided_early()
    assert verdict.sentence() == "grows in 3 of 3 tensors, decided after 3 of 10 seeds"
    assert verdict.final
    assert (verdict.runs_judged, verdict.runs_planned) == (12, 12)
    assert verdict.confidence == pytest.approx(0.995)


@pytest.mark.parametrize(("exponent", "word"), [(0.0, "flat"), (-0.5, "shrinks")])
def test_what_is_flat_or_shrinks_everywhere_stops_too(exponent: float, word: str) -> None:
    spec = stopping()
    verdict = after(spec, samples(spec, grows_as(exponent, noise=0.001)), seeds=3)
    assert verdict.verdict == word
    assert verdict.stopped_early is not None


def test_a_variant_that_diverged_stops() -> None:
    spec = stopping()
    measured = samples(spec, grows_as(0.0, noise=0.3))
    measured[0] = with_value(measured[0], math.nan)
    verdict = after(spec, measured, seeds=3)
    assert verdict.verdict is CellVerdict.DIVERGED
    assert verdict.stopped_early is not None


def noise_in_the_readout(exponent: float) -> Law:
    """A power law, and a flat readout of which these few seeds tell nothing."""
    quiet, noisy = grows_as(exponent, noise=0.001), grows_as(0.0, noise=0.5)
    return lambda run, a, step: (noisy if a.name == "readout" else quiet)(run, a, step)


@pytest.mark.parametrize("exponent", [0.0, -0.5])
def test_a_cell_that_is_open_keeps_a_variant_that_might_still_grow(exponent: float) -> None:
    spec = stopping()
    verdict = after(spec, samples(spec, noise_in_the_readout(exponent)), seeds=3)
    assert (verdict.stopped_early, verdict.final) == (None, False)
    assert (verdict.runs_judged, verdict.runs_planned) == (12, 40)


def test_a_cell_that_is_open_does_not_keep_a_variant_that_grows_for_certain() -> None:
    spec = stopping()
    verdict = after(spec, samples(spec, noise_in_the_readout(0.7)), seeds=3)
    assert verdict.sentence() == "grows in 2 of 3 tensors, decided after 3 of 10 seeds"


@pytest.mark.parametrize("seeds", [2, 4])
def test_nothing_stops_between_two_looks(seeds: int) -> None:
    spec = stopping()
    verdict = after(spec, samples(spec, grows_as(0.7, noise=0.001)), seeds)
    assert verdict.stopped_early is None


def test_nothing_stops_while_a_run_of_the_look_is_missing() -> None:
    spec = stopping()
    measured = samples(spec, grows_as(0.7, noise=0.001))
    lacking = [sample for sample in measured if (sample.width, sample.seed) != (512, 2)]
    assert after(spec, lacking, seeds=3).stopped_early is None


def test_with_all_seeds_nothing_stopped_early() -> None:
    spec = stopping()
    verdict = after(spec, samples(spec, grows_as(0.7, noise=0.001)), seeds=10)
    assert verdict.stopped_early is None
    assert verdict.confidence == pytest.approx(0.91)


def test_a_study_that_may_not_stop_keeps_its_intervals() -> None:
    spec = stopping(stop_early=False)
    verdict = after(spec, samples(spec, grows_as(0.7, noise=0.001)), seeds=3)
    assert (verdict.stopped_early, verdict.confidence) == (None, CONFIDENCE)


def test_a_verdict_of_an_earlier_version_is_read() -> None:
    spec = study()
    verdict = after(spec, samples(spec, grows_as(0.0)), seeds=5)
    old = verdict.model_dump(mode="json", exclude={"stopped_early", "confidence"})
    assert VariantVerdict.model_validate_json(VariantVerdict(**old).model_dump_json()) == verdict


@given(seeds=strategies.integers(1, 40), may_stop=strategies.booleans())
def test_the_stages_of_variants_that_stay_open_are_the_grid(seeds: int, may_stop: bool) -> None:
    spec = stopping(seeds, stop_early=may_stop)
    stages = [next_runs(spec, stage, ()) for stage in range(len(looks(spec)))]
    found = sorted(run.model_dump_json() for stage in stages for run in stage)
    assert found == sorted(run.model_dump_json() for run in plan.runs(spec))
    assert all(stages)
    assert next_runs(spec, len(stages), ()) == ()


def test_only_variants_that_are_open_get_their_next_seeds() -> None:
    spec = stopping().model_copy(
        update={"parametrizations": (*study().parametrizations, *stopping().parametrizations)}
    )
    mup, sp = spec.variants
    noisy, grows = grows_as(0.0, noise=0.5), grows_as(0.7, noise=0.001)
    measured = samples(
        spec, lambda run, a, step: (grows if run.variant == sp else noisy)(run, a, step)
    )
    here = [sample for sample in measured if sample.seed < 3]
    verdicts = judge(spec, here, runs_judged={mup.key: 12, sp.key: 12}, final=False)
    assert [verdict.final for verdict in verdicts] == [False, True]
    second = {(run.variant.key, run.seed) for run in next_runs(spec, 1, verdicts)}
    assert second == {(mup.key, 3), (mup.key, 4)}


def decided_early() -> VariantVerdict:
    """A variant that was decided after three of ten seeds."""
    spec = stopping()
    return after(spec, samples(spec, grows_as(0.7, noise=0.001)), seeds=3)


def test_the_terminal_says_what_stopped_and_how_sure_its_intervals_are() -> None:
    file = io.StringIO()
    Console(file=file, width=100, no_color=True).print(verdict_table([decided_early()]))
    text = file.getvalue()
    assert "grows in 3 of 3 tensors, decided after 3 of 10 seeds" in text
    assert "half its 99.5 % interval" in text
    assert "so far" not in text


@pytest.mark.parametrize("is_over", [False, True])
def test_a_card_and_a_table_of_what_stopped_lack_nothing(is_over: bool) -> None:
    verdict = decided_early()
    shown = card.card(verdict, is_over=is_over)
    assert shown.is_firm
    assert shown.sentence.endswith("decided after 3 of 10 seeds")
    assert shown.confidence == slope_table(verdict, Statistic.L1).confidence == verdict.confidence


@pytest.mark.parametrize(
    ("value", "said"), [(0.9, "90 %"), (0.91, "91 %"), (0.995, "99.5 %"), (0.9975, "99.75 %")]
)
def test_a_confidence_is_said_with_the_digits_that_matter(value: float, said: str) -> None:
    assert formats.confidence(value) == said
