"""Variants beside each other: what is paired, what is refused, and which differences are sure."""

import math
import random
import statistics
from collections.abc import Callable

import pytest
from scipy import stats

from muscope import plan
from muscope.recorded import RecordedSpec, RecordedVariant
from muscope.records import Sample, Values
from muscope.spec import Arm, CheckSpec, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.verdicts.comparison.compare import compare
from muscope.verdicts.comparison.contender import Contender
from muscope.verdicts.comparison.intervals import Estimate, estimate
from muscope.verdicts.comparison.types import Comparison, Difference, Quantity, Word
from muscope.verdicts.comparison.words import words
from muscope.verdicts.transfer.losses import Trial
from muscope.vocabulary import Role, Statistic, TensorKind

FIRST = {0: 2.0, 1: 2.2, 2: 2.1}
SECOND = {0: 1.9, 1: 2.15, 2: 1.95, 3: 2.0}


def sweep(**changes: object) -> StudySpec:
    """SP and µP at three widths and five rates, three seeds."""
    model = {"name": "mlp", "batch_size": 8} | dict(changes.pop("model", {}))  # type: ignore[call-overload]
    sgd = OptimizerSpec(name="sgd", learning_rate=2**-4)
    return StudySpec.model_validate(
        {
            "name": "x",
            "kind": "lr_transfer",
            "arms": (Arm(model=ModelSpec(**model), optimizers=(sgd,)),),
            "parametrizations": (ParametrizationSpec(name="sp"), ParametrizationSpec(name="mup")),
            "widths": (32, 64, 128),
            "octaves": (-2.0, -1.0, 0.0, 1.0, 2.0),
            "seeds": 3,
            "steps": 20,
            "held_out": 1,
        }
        | changes
    )


def trained(
    spec: StudySpec, number: int, loss: Callable[[int, float, int], float], study: str = "s"
) -> Contender:
    """A variant whose loss is a formula of width, octave and seed."""
    variant = spec.variants[number].key
    runs = [run for run in plan.runs(spec) if run.variant.key == variant]
    trials = [
        Trial(
            variant, run.width, run.depth, run.octave, run.seed,
            loss(run.width, run.octave, run.seed),
        )
        for run in runs
    ]  # fmt: skip
    return Contender(study=study, study_name=study, spec=spec, variant=variant, trials=trials)


def bowl(width: int, octave: float, seed: int) -> float:
    """An optimum that stays, and a seed that is luckier than another."""
    return 2.0 + 0.1 * octave**2 + 0.3 * seed - 0.01 * math.log2(width)


def compared(*contenders: Contender) -> Comparison:
    return compare(contenders, kind=TensorKind.ACTIVATION, statistic=Statistic.CHANGE)


def only(found: Comparison, quantity: Quantity) -> list[Difference]:
    (pair,) = found.pairs
    return list(pair.of(quantity))


def test_a_paired_interval_is_that_of_the_differences_of_shared_seeds() -> None:
    found = estimate(FIRST, SECOND, paired=True)
    shared = [FIRST[seed] - SECOND[seed] for seed in FIRST]
    low, high = stats.t.interval(0.9, 2, statistics.fmean(shared), stats.sem(shared))
    assert found is not None
    assert found.seeds == 3
    assert found.difference == pytest.approx(statistics.fmean(shared))
    # two ways to one number: rounding only
    assert found.half_width() == pytest.approx((high - low) / 2, rel=1e-8)


def test_an_unpaired_interval_is_welchs() -> None:
    found = estimate(FIRST, SECOND, paired=False)
    known = stats.ttest_ind(list(FIRST.values()), list(SECOND.values()), equal_var=False)
    interval = known.confidence_interval(0.9)
    assert found is not None
    assert found.half_width() == pytest.approx((interval.high - interval.low) / 2, rel=1e-8)


def test_one_shared_seed_gives_a_difference_without_an_interval_and_none_gives_nothing() -> None:
    alone = estimate(FIRST, {2: 1.0}, paired=True)
    assert alone is not None
    assert (alone.seeds, alone.half_width()) == (1, None)
    assert estimate(FIRST, {7: 1.0}, paired=True) is None


def test_pairing_takes_the_luck_of_a_seed_out() -> None:
    spec = sweep()
    other = trained(spec, 1, lambda *at: bowl(*at) - 0.05 + 0.001 * (at[2] == 1))
    (pair,) = compared(trained(spec, 0, bowl), other).pairs
    assert (pair.pairing, pair.because) == ("paired", ())
    for one in pair.of(Quantity.BEST_LOSS):
        # seeds differ by 0.3, the pairs by 0.001 at most
        assert one.word is Word.HIGHER
        assert one.difference == pytest.approx(0.05, abs=0.001)
        assert one.low is not None
        assert one.low > 0.04


def test_losses_at_equal_rates_meet_at_the_rate_not_at_the_octave() -> None:
    sgd = OptimizerSpec(name="sgd", learning_rate=2**-3)
    other = sweep(arms=(Arm(model=ModelSpec(name="mlp", batch_size=8), optimizers=(sgd,)),))
    found = compared(
        trained(sweep(), 0, bowl), trained(other, 0, lambda w, o, s: bowl(w, o + 1, s), "t")
    )
    equal = [one for one in only(found, Quantity.EQUAL_RATE) if one.at.width == 32]
    assert [one.at.rate for one in equal] == [-5.0, -4.0, -3.0, -2.0]
    # the same function of the rate
    assert [one.difference for one in equal] == pytest.approx([0.0] * 4, abs=1e-12)


def test_drift_and_regret_are_compared_too() -> None:
    drifting = trained(sweep(), 0, lambda w, o, s: bowl(w, o + 0.5 * math.log2(w / 32), s))
    found = compared(drifting, trained(sweep(), 1, bowl))
    (drift,) = only(found, Quantity.DRIFT)
    (regret,) = only(found, Quantity.REGRET)
    # an exact parabola has its vertex where the formula puts it
    assert drift.difference == pytest.approx(-0.5, abs=1e-9)
    assert drift.word is Word.LOWER
    # at the best rate of width 32, one octave off: 0.1 nats
    assert regret.difference == pytest.approx(0.1, abs=1e-9)


def test_what_diverged_has_no_difference_and_says_so() -> None:
    blown = trained(sweep(), 0, lambda w, o, s: math.inf if o > 0 else bowl(w, o, s))
    found = compared(trained(sweep(), 1, bowl), blown)
    lost = [one for one in only(found, Quantity.EQUAL_RATE) if (one.at.rate or 0) > -4]
    assert lost
    assert {one.reason for one in lost} == {"the second diverged, or was stopped early, there"}
    assert all(one.difference is None for one in lost)


@pytest.mark.parametrize(
    ("changes", "pairing", "because"),
    [
        ({"model": {"options": {"dataset": "photo_patches"}}}, "refused", "dataset"),
        ({"model": {"options": {"loss": "mse"}}}, "refused", "loss"),
        ({"held_out": 2}, "refused", "held-out examples"),
        ({"held_out": 2, "model": {"batch_size": 4}}, "unpaired", "batch size"),
        ({"seeds": 1}, "unpaired", "seeds"),
    ],
    ids=["dataset", "loss", "held-out", "batch", "seeds"],
)
def test_what_is_not_the_same_decides_how_two_are_compared(
    changes: dict[str, object], pairing: str, because: str
) -> None:
    (pair,) = compared(trained(sweep(), 0, bowl), trained(sweep(**changes), 0, bowl, "t")).pairs
    assert (pair.pairing, pair.because) == (pairing, (because,))
    assert bool(pair.differences) is (pairing != "refused")
    assert not any(one.paired for one in pair.differences)


def test_other_steps_widths_and_seeds_are_noted_and_what_is_shared_is_paired() -> None:
    lucky = sweep(steps=40, widths=(64, 128, 256), seeds=5)
    other = trained(lucky, 0, lambda w, o, s: bowl(w, o, s) - 0.2, "t")
    found = compared(trained(sweep(), 0, bowl), other)
    assert found.pairs[0].pairing == "paired"
    differing = {one.name: one.values for one in found.differing}
    assert differing["steps"] == ("20", "40")
    assert differing["widths"] == ("32, 64, 128", "64, 128, 256")
    assert [one.at.width for one in only(found, Quantity.BEST_LOSS)] == [64, 128]
    assert {one.seeds for one in found.pairs[0].differences} == {3}
    for one in only(found, Quantity.BEST_LOSS):
        # both are means over the seeds that both have
        assert (one.first or 0) - (one.second or 0) == pytest.approx(one.difference)


def test_data_of_another_digest_are_other_data() -> None:
    spec = sweep()
    one, other = (
        Contender(
            study=name, study_name=name, spec=spec, variant=spec.variants[0].key,
            surroundings={"data, SHA-256": name * 64},
        )
        for name in "ab"
    )  # fmt: skip
    assert compared(one, other).pairs[0].because == ("data, SHA-256",)


def test_a_check_and_a_sweep_have_no_number_in_common() -> None:
    check = StudySpec(
        name="y",
        arms=sweep().arms,
        parametrizations=sweep().parametrizations,
        widths=(32, 64),
    )
    sizes = Contender(study="c", study_name="c", spec=check, variant=check.variants[0].key)
    found = compared(sizes, trained(sweep(), 0, bowl))
    assert "no number in common" in found.notes[0]
    assert (found.pairs[0].pairing, found.pairs[0].differences) == ("refused", ())


def test_the_data_of_a_recording_are_not_known_so_nothing_of_it_is_paired() -> None:
    spec = RecordedSpec(
        name="mine", key="mine", variants=(RecordedVariant(label="a"), RecordedVariant(label="b")),
        widths=(32, 64), depths=(2,), seeds=2,
    )  # fmt: skip
    one, other = (
        Contender(study="r", study_name="r", spec=spec, variant=variant.key)
        for variant in spec.variants
    )
    (pair,) = compared(one, other).pairs
    assert pair.pairing == "unpaired"
    assert "data of a recording" in pair.because[0]


def checked(number: int, power: float, *, widths: tuple[int, ...] = (32, 64, 128)) -> Contender:
    """A variant whose changes are a power of the width; at step 2 as far as these are measured."""
    check = StudySpec(
        name="y", arms=sweep().arms, parametrizations=sweep().parametrizations,
        widths=(32, 64, 128), seeds=3,
    )  # fmt: skip
    variant = check.variants[number].key
    return Contender(
        study="c", study_name="c", spec=check, variant=variant,
        samples=[
            Sample(
                variant=variant, width=width, depth=2, seed=seed, step=step,
                tensor=tensor, role=Role.HIDDEN, kind=TensorKind.ACTIVATION,
                values=Values(1.0, 1.0, (1 + 0.1 * seed) * width**power),
            )
            for width in check.widths
            for seed in range(3)
            for step in (1, 2)
            if step == 1 or width in widths
            for tensor in ("input", "readout")
        ],
    )  # fmt: skip


@pytest.mark.parametrize("widths", [(32, 64, 128), (32, 64)], ids=["all", "so far"])
def test_slopes_are_compared_tensor_by_tensor_at_the_last_step(widths: tuple[int, ...]) -> None:
    growing, flat = checked(0, 1.0, widths=widths), checked(1, 0.0)
    found = only(compared(growing, flat), Quantity.SLOPE)
    assert [(one.at.tensor, one.at.step) for one in found] == [("input", 2), ("readout", 2)]
    # an exact power law
    assert [one.difference for one in found] == pytest.approx([1.0, 1.0], abs=1e-9)
    assert {one.word for one in found} == {Word.HIGHER}


def test_one_width_has_no_slope_and_says_so() -> None:
    found = only(compared(checked(0, 1.0, widths=(64,)), checked(1, 0.0)), Quantity.SLOPE)
    assert found
    assert all("fewer than two widths" in one.reason for one in found)


def test_a_study_that_checks_and_sweeps_is_compared_by_what_the_other_has() -> None:
    joined = sweep(check=CheckSpec(seeds=2))
    found = compared(trained(joined, 0, bowl), trained(sweep(), 0, bowl, "t"))
    assert found.pairs[0].pairing == "paired"
    assert [one.word for one in only(found, Quantity.BEST_LOSS)] == [Word.ALIKE] * 3
    assert not found.notes


def test_turned_a_difference_says_the_opposite() -> None:
    found = compared(
        trained(sweep(), 0, bowl), trained(sweep(), 1, lambda w, o, s: bowl(w, o, s) - 0.1)
    )
    one = only(found, Quantity.BEST_LOSS)[0]
    turned = one.turned()
    assert (one.word, turned.word) == (Word.HIGHER, Word.LOWER)
    assert (turned.low, turned.high) == (-(one.high or 0), -(one.low or 0))
    assert turned.turned() == one


def test_of_many_differences_of_nothing_few_studies_get_a_word() -> None:
    """The error of 10 % is that of all of a study's differences together."""
    random_numbers = random.Random(0)
    wrong = 0
    for _ in range(200):
        drawn = [
            {seed: random_numbers.gauss(0, 1) for seed in range(3)} for _ in range(8)
        ]  # two variants at four widths
        found = [
            estimate(first, second, paired=True)
            for first, second in zip(drawn[:4], drawn[4:], strict=True)
        ]
        wrong += any(word in (Word.LOWER, Word.HIGHER) for word in words(found, 1e-9))
    # of 200 at 10 %, 20 with a standard deviation of 4.2; without care it would be 69
    assert wrong < 33


def test_a_small_sure_difference_is_alike_and_an_unsure_one_is_open() -> None:
    near = Estimate(0.004, 1e-8, 4, 5, paired=True)
    unsure = Estimate(0.004, 1e-2, 4, 5, paired=True)
    assert words([near], 0.01) == [Word.ALIKE]
    assert words([unsure, None], 0.01) == [Word.OPEN, None]


def test_settings_are_told_in_words_and_what_no_model_has_is_left_out() -> None:
    known = sweep(held_out=0)
    found = compared(trained(known, 0, bowl), trained(known, 1, bowl))
    values = {one.name: one.values[0] for one in found.settings}
    assert values["kind of study"] == "learning rates"
    assert "last training losses are compared" in values["held-out examples"]
    assert "vocabulary" not in values
