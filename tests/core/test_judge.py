"""Judgements follow their definitions, whatever the order and amount of the measurements."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies

from muscope.catalogue import ActivationEntry
from muscope.presets.demo import demo
from muscope.records import Sample, Values
from muscope.spec import RunSpec
from muscope.verdicts.judge import judge
from muscope.vocabulary import CellVerdict, Role, Statistic, TensorKind
from tests.core.grids import Law, cell, judged, samples, size, study, with_value, with_values


def grows_as(exponent: float, *, noise: float = 0.0, seed: int = 0) -> Law:
    generator = random.Random(seed)

    def law(run: RunSpec, activation: ActivationEntry, step: int) -> float:
        return float(run.width**exponent * math.exp(noise * generator.gauss(0, 1)))

    return law


def only(tensor: str, exponent: float, elsewhere: float = 0.0) -> Law:
    def law(run: RunSpec, activation: ActivationEntry, step: int) -> float:
        return float(run.width ** (exponent if activation.name == tensor else elsewhere))

    return law


@pytest.mark.parametrize(
    ("exponent", "word"),
    [(0.0, "flat"), (0.09, "flat"), (-0.09, "flat"), (0.5, "grows"), (-0.5, "shrinks")],
)
def test_a_clean_power_law_gets_its_word(exponent: float, word: str) -> None:
    spec = study(parametrization="sp")
    verdict = judged(spec, samples(spec, grows_as(exponent)))
    assert verdict.verdict == word
    assert {found.verdict for found in verdict.cells} == {CellVerdict(word)}


def test_noise_is_inconclusive_and_says_what_could_have_been_told() -> None:
    spec = study(parametrization="sp")
    verdict = judged(spec, samples(spec, grows_as(0.0, noise=0.3)))
    found = cell(verdict, "hidden.0", 1)
    assert found.verdict is CellVerdict.INCONCLUSIVE
    assert found.low is not None
    assert found.high is not None
    half_width = (found.high - found.low) / 2
    assert found.smallest_detectable == pytest.approx(found.tolerance + half_width)


def test_one_seed_is_inconclusive_with_a_slope() -> None:
    spec = study(seeds=1)
    found = cell(judged(spec, samples(spec, grows_as(1.0))), "hidden.0", 1)
    assert found.verdict is CellVerdict.INCONCLUSIVE
    assert found.slope == pytest.approx(1.0)
    assert (found.low, found.high, found.as_expected) == (None, None, None)


def test_one_width_is_inconclusive_without_a_slope() -> None:
    spec = study()
    measured = [s for s in samples(spec, grows_as(1.0)) if s.width == 64]
    found = cell(judged(spec, measured), "hidden.0", 1)
    assert (found.verdict, found.slope, found.widths) == (CellVerdict.INCONCLUSIVE, None, (64,))


def test_widths_without_a_seed_in_common_are_told_to_share_seeds() -> None:
    spec = study()
    of_width = {64: (0, 1), 128: (2, 3), 256: (0, 1), 512: (2, 3)}
    measured = [s for s in samples(spec, grows_as(1.0)) if s.seed in of_width[s.width]]
    verdict = judged(spec, measured)
    assert verdict.verdict is CellVerdict.INCONCLUSIVE
    assert "take the same seeds at every width" in str(verdict.power())


def test_zeros_that_theory_expects_do_not_count() -> None:
    spec = study(zero_readout=True)
    verdict = judged(spec, samples(spec, readout_as(0.0)))
    assert cell(verdict, "readout", 0).verdict is CellVerdict.ZERO
    assert not cell(verdict, "readout", 0).counts
    assert verdict.verdict is CellVerdict.FLAT


def test_zeros_that_nobody_expects_are_inconclusive() -> None:
    spec = study()
    verdict = judged(spec, samples(spec, lambda run, activation, step: 0.0))
    assert verdict.verdict is CellVerdict.INCONCLUSIVE
    assert verdict.power() is not None


def test_what_shrinks_around_a_legal_bound_is_not_said_to_be_indistinct_from_flat() -> None:
    spec = study(zero_readout=True)
    exponents = (-0.15, -0.2, -0.23, -0.2, -0.17)

    def size(run: RunSpec, activation: ActivationEntry, step: int) -> float:
        if activation.name != "readout":
            return 1.0
        return float(run.width ** exponents[run.seed]) if step else 0.0

    verdict = judged(spec, samples(spec, size))
    assert verdict.verdict is CellVerdict.INCONCLUSIVE
    assert "no more than is legal" in str(verdict.power())


def test_a_change_that_is_only_rounding_is_no_change() -> None:
    spec = study()
    rounding = [
        with_values(s, change=None if s.values.change is None else 1e-9 * size(s) * s.width)
        for s in samples(spec, grows_as(0.0))
    ]
    found = cell(judged(spec, rounding), "hidden.0", 1, Statistic.CHANGE)
    assert found.verdict is not CellVerdict.GROWS


def test_flat_at_half_of_the_planned_widths_is_not_flat() -> None:
    spec = study()
    narrow = [s for s in samples(spec, grows_as(0.0)) if s.width <= 128]
    verdict = judged(spec, narrow)
    assert verdict.verdict is CellVerdict.INCONCLUSIVE
    assert cell(verdict, "hidden.0", 1).slope == pytest.approx(0.0, abs=1e-12)


def test_one_zero_among_others_is_inconclusive() -> None:
    spec = study()
    measured = samples(spec, grows_as(0.0))
    measured[0] = with_value(measured[0], 0.0)
    found = cell(judged(spec, measured), measured[0].tensor, measured[0].step)
    assert found.verdict is CellVerdict.INCONCLUSIVE


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_value_that_is_not_finite_is_divergence_and_beats_all_else(value: float) -> None:
    spec = study()
    measured = samples(spec, only("input", 2.0))
    number = next(n for n, s in enumerate(measured) if s.tensor == "hidden.0" and s.step == 1)
    measured[number] = with_value(measured[number], value)
    verdict = judged(spec, measured)
    assert verdict.verdict is CellVerdict.DIVERGED
    assert verdict.worst is not None
    assert verdict.worst.tensor == "hidden.0"


def readout_as(exponent: float) -> Law:
    """All flat but the logits, which are exactly zero at step 0, as with a zero readout."""

    def law(run: RunSpec, activation: ActivationEntry, step: int) -> float:
        if activation.role is not Role.OUTPUT:
            return 1.0
        return float(run.width**exponent) if step else 0.0

    return law


def test_a_readout_that_shrinks_within_its_band_is_excused() -> None:
    spec = study(zero_readout=True)
    verdict = judged(spec, samples(spec, readout_as(-0.15)))
    assert cell(verdict, "readout", 1).verdict is CellVerdict.SHRINKS
    assert cell(verdict, "readout", 1).exception is not None
    assert verdict.verdict is CellVerdict.FLAT


def test_an_interval_that_leaves_the_band_is_not_excused() -> None:
    """Neither noise nor a missing interval is a legal departure."""
    spec = study(zero_readout=True)
    noisy = samples(spec, readout_as(-0.15))
    loud = [
        s if s.tensor != "readout" else with_values(s, l1=size(s) * (1 + s.seed) ** (s.width / 512))
        for s in noisy
    ]
    for measured in (loud, [s for s in noisy if s.seed == 0]):
        found = cell(judged(spec, measured), "readout", 1)
        assert found.verdict is CellVerdict.INCONCLUSIVE
        assert found.exception is None


@pytest.mark.parametrize(("exponent", "word"), [(-0.25, "shrinks"), (0.15, "grows")])
def test_a_readout_beyond_its_band_is_not_excused(exponent: float, word: str) -> None:
    spec = study(zero_readout=True)
    verdict = judged(spec, samples(spec, readout_as(exponent)))
    assert cell(verdict, "readout", 1).exception is None
    assert verdict.verdict == word


def test_only_the_readout_of_mup_is_excused() -> None:
    for spec, tensor in ((study(), "hidden.0"), (study(parametrization="sp"), "readout")):
        assert judged(spec, samples(spec, only(tensor, -0.15))).verdict is CellVerdict.SHRINKS


def test_the_first_logits_of_a_random_mup_readout_may_shrink() -> None:
    spec = study(zero_readout=False)
    verdict = judged(spec, samples(spec, only("readout", -0.5)))
    assert cell(verdict, "readout", 0).exception is not None
    assert cell(verdict, "readout", 0).as_expected is True
    assert verdict.verdict is CellVerdict.FLAT


def test_a_random_readout_may_recover_as_slowly_as_its_learning_rate() -> None:
    """Healthy GPT, widths 64 to 256, AdamW at 5e-4: l1 -0.45 and change -0.42 at step 8."""
    spec = study(zero_readout=False, steps=8)
    verdict = judged(spec, samples(spec, only("readout", -0.42)))
    assert verdict.verdict is CellVerdict.FLAT
    assert cell(verdict, "readout", 8).exception is not None


def test_what_is_excused_never_disagrees_with_theory() -> None:
    spec = study(zero_readout=False)
    verdict = judged(spec, samples(spec, only("readout", -0.4)))
    found = cell(verdict, "readout", 1, Statistic.CHANGE)
    assert (found.verdict, found.expected) == (CellVerdict.SHRINKS, 0.0)
    assert found.exception is not None
    assert found.as_expected is None


@settings(max_examples=40, deadline=None)
@given(
    exponent=strategies.floats(-1, 1),
    noise=strategies.floats(0, 0.3),
    zero_readout=strategies.booleans(),
    seed=strategies.integers(0, 1000),
)
def test_no_exception_ever_excuses_growth(
    exponent: float, noise: float, zero_readout: bool, seed: int
) -> None:
    spec = study(zero_readout=zero_readout)
    verdict = judged(spec, samples(spec, grows_as(exponent, noise=noise, seed=seed)))
    for found in verdict.cells:
        if found.exception is not None:
            assert found.verdict in (CellVerdict.SHRINKS, CellVerdict.INCONCLUSIVE)
            assert found.role is Role.OUTPUT or found.statistic is Statistic.CHANGE


def test_rms_is_shown_and_does_not_decide() -> None:
    spec = study()
    measured = [with_values(s, rms=size(s) * s.width) for s in samples(spec, grows_as(0.0))]
    verdict = judged(spec, measured)
    assert cell(verdict, "hidden.0", 1, Statistic.RMS).verdict is CellVerdict.GROWS
    assert verdict.verdict is CellVerdict.FLAT


def test_the_worst_tensor_is_the_one_with_the_largest_slope_of_the_worst_word() -> None:
    spec = study(parametrization="sp")
    exponents = {"input": 0.5, "hidden.0": 0.9, "readout": -3.0}
    verdict = judged(spec, samples(spec, lambda run, a, step: run.width ** exponents[a.name]))
    assert verdict.worst is not None
    assert verdict.worst.tensor == "hidden.0"
    assert verdict.sentence() == "grows in 2 of 3 tensors"


def test_the_order_of_measurements_does_not_matter() -> None:
    spec = study()
    measured = samples(spec, grows_as(0.3, noise=0.1))
    shuffled = random.Random(1).sample(measured, len(measured))
    assert judged(spec, shuffled) == judged(spec, measured)


def test_every_depth_gets_slopes_of_its_own() -> None:
    spec = study(parametrization="sp").model_copy(update={"depths": (1, 2)})
    measured = samples(spec, lambda run, a, step: float(run.width) if run.depth == 2 else 1.0)
    by_depth = {(t.tensor, t.depth): t.verdict for t in judged(spec, measured).tensors}
    assert by_depth["input", 1] is CellVerdict.FLAT
    assert by_depth["input", 2] is CellVerdict.GROWS


def as_kind(kind: TensorKind, measured: list[Sample], values: Values) -> list[Sample]:
    """The weights of this model have the names of what they make; values times the width."""
    return [
        replace(s, kind=kind, values=Values(*(v and v * s.width for v in values)))
        for s in measured
        if s.step
    ]


@pytest.mark.parametrize("kind", [TensorKind.WEIGHT, TensorKind.GRADIENT, TensorKind.UPDATE])
def test_sizes_of_other_kinds_are_judged_and_decide_nothing(kind: TensorKind) -> None:
    spec = study().model_copy(update={"record": "full"})
    measured = samples(spec, grows_as(0.0))
    others = as_kind(kind, measured, Values(l1=0.5, rms=1.0, spectral=2.0))
    verdict = judged(spec, measured + others)
    words = {(c.statistic, c.verdict) for c in verdict.cells if c.kind is kind}
    assert words == {(name, CellVerdict.GROWS) for name in ("l1", "rms", "spectral")}
    assert verdict.verdict is CellVerdict.FLAT
    assert {tensor.kind for tensor in verdict.tensors} == {TensorKind.ACTIVATION}


def test_a_contribution_that_grows_is_a_fault_that_activations_hide() -> None:
    spec = study().model_copy(update={"record": "full"})
    measured = samples(spec, grows_as(0.0))
    weights = as_kind(TensorKind.WEIGHT, measured, Values(l1=1.0, contribution=1e-9))
    verdict = judged(spec, measured + weights)
    assert verdict.verdict is CellVerdict.GROWS
    assert verdict.sentence() == "grows in 3 of 6 tensors"
    assert verdict.worst is not None
    assert verdict.worst.kind is TensorKind.WEIGHT


def test_a_signed_statistic_is_judged_by_its_size() -> None:
    spec = study().model_copy(update={"record": "standard"})
    measured = [with_values(s, mean=-0.1 * s.width) for s in samples(spec, grows_as(0.0))]
    found = cell(judged(spec, measured), "hidden.0", 1, Statistic.MEAN)
    assert found.slope == pytest.approx(1.0)


def test_a_study_without_measurements_has_a_verdict_per_variant_that_says_so() -> None:
    spec = demo()
    verdicts = judge(spec, (), runs_judged={}, final=False)
    assert [verdict.variant for verdict in verdicts] == [v.key for v in spec.variants]
    assert {verdict.sentence() for verdict in verdicts} == {"nothing measured yet"}
    assert {(verdict.runs_judged, verdict.runs_planned) for verdict in verdicts} == {(0, 20)}


def test_theory_agrees_where_its_exponent_lies_in_the_widened_interval() -> None:
    spec = study(parametrization="sp")
    verdict = judged(spec, samples(spec, only("hidden.0", 0.95)))
    assert cell(verdict, "hidden.0", 1, Statistic.CHANGE).as_expected is True
    assert cell(verdict, "hidden.0", 0).as_expected is False  # SP is flat at initialization
    assert cell(verdict, "hidden.0", 2).as_expected is None  # later nobody says
