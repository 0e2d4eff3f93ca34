"""Beside the word: is it stable, is it as theory says, does a line bend; each in one sentence."""

import math

import pytest

from muscope.gate import sentences
from muscope.reports.card import card
from muscope.spec import RunSpec, StudySpec
from muscope.verdicts.remarks import remarks
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict, Statistic
from tests.core import test_axes as deep
from tests.core import verdicts as written
from tests.core.grids import cell, judged, samples, study

THEORY = {"input": 0.0, "hidden.0": 1.0, "readout": 1.5}
"""Of the change at step 1 under SP with AdamW (facts 5.1)."""


def said(verdict: VariantVerdict) -> str:
    return "\n".join(remarks(verdict))


def sp(scale: float = 1.0) -> VariantVerdict:
    """SP whose first change grows as theory says, or with a share of it."""
    spec = study(parametrization="sp", steps=1)
    return judged(
        spec,
        samples(
            spec,
            lambda run, entry, step: run.width ** (scale * THEORY[entry.name] if step else 0.0),
        ),
    )


def test_sp_that_grows_is_not_stable_and_is_as_its_theory_says() -> None:
    verdict = sp()
    assert (verdict.verdict, verdict.stable) == (CellVerdict.GROWS, False)
    assert verdict.as_theory
    assert "as theory says: 6 of 6 slopes agree" in said(verdict)


def test_growth_that_large_rates_saturate_is_not_held_against_theory() -> None:
    verdict = sp(0.6)
    assert verdict.as_theory
    assert "2 of them with less growth than theory's" in said(verdict)


def test_growth_beyond_theory_is_held_against_it_and_the_furthest_is_named() -> None:
    verdict = sp(1.4)
    assert verdict.as_theory is False
    assert "not as theory says: 4 of 6 slopes agree; furthest is the change of readout" in said(
        verdict
    )


def test_mup_with_one_fault_is_neither_and_a_healthy_one_is_both() -> None:
    spec = study(steps=2)
    for exponent, is_so in ((0.0, True), (0.5, False)):
        verdict = judged(
            spec,
            samples(
                spec,
                lambda run, entry, step, power=exponent: float(  # type: ignore[misc]
                    run.width ** (power if entry.name == "hidden.0" and step else 0.0)
                ),
            ),
        )
        assert (verdict.stable, verdict.as_theory) == (is_so, is_so)


def test_one_noisy_step_of_several_is_not_against_theory_and_two_are() -> None:
    spec = study(steps=4)

    def verdict(steps: tuple[int, ...]) -> VariantVerdict:
        return judged(
            spec,
            samples(
                spec,
                lambda run, entry, step: (
                    run.width ** (0.2 if entry.name == "hidden.0" and step in steps else 0.0)
                ),
            ),
        )

    assert verdict((2,)).as_theory
    assert not verdict((2,)).stable
    assert verdict((2, 3, 4)).as_theory is False


def test_a_legal_departure_is_counted_and_is_not_against_theory() -> None:
    spec = study(zero_readout=False, steps=1)
    verdict = judged(
        spec,
        samples(
            spec,
            lambda run, entry, step: run.width ** (-0.5 if entry.name == "readout" else 0.0),
        ),
    )
    assert verdict.stable
    assert verdict.as_theory
    assert "depart legally" in said(verdict)


def bent(spec: StudySpec, curvature: float) -> VariantVerdict:
    """A hidden layer whose line is flat over all widths and bends."""
    middle = sum(map(math.log2, spec.widths)) / len(spec.widths)
    return judged(
        spec,
        samples(
            spec,
            lambda run, entry, step: (
                2 ** (curvature * (math.log2(run.width) - middle) ** 2)
                if entry.name == "hidden.0"
                else 1.0
            ),
        ),
    )


def test_a_line_that_bends_is_said_with_its_slope_at_the_widest() -> None:
    verdict = bent(study(), 0.1)
    here = cell(verdict, "hidden.0", 1)
    assert here.bends
    assert here.verdict is CellVerdict.FLAT
    # 3 octaves from end to end: the parabola's slope at the end is 2 * 0.1 * 1.5
    assert here.end_slope == pytest.approx(0.3)
    assert verdict.sentence() == "flat in all 3 tensors, 1 line bends"
    assert "the line of 1 tensor bends" in said(verdict)
    assert "+0.30 at width 512" in said(verdict)


def test_a_bend_that_changes_no_word_is_not_said() -> None:
    # 0.03 * 3 octaves: the slope at an end differs by 0.09, less than the tolerance
    verdict = bent(study(), 0.03)
    assert not any(one.bends for one in verdict.cells)
    assert verdict.sentence() == "flat in all 3 tensors"


def test_two_seeds_are_said_to_be_two() -> None:
    two, three = (
        judged(spec, samples(spec, lambda *_: 1.0)) for spec in (study(seeds=2), study(seeds=3))
    )
    assert "two seeds: every interval rests on one difference" in said(two)
    assert "two seeds" not in said(three)


def test_growth_with_depth_that_has_no_rule_is_said_to_be_expected() -> None:
    def law(run: RunSpec, tensor: str, step: int) -> float:
        return run.depth ** (1.0 if step else 0.5) if "residual" in tensor else 1.0

    words = said(deep.judged(deep.study("mup"), law))
    assert "the stream grows with depth, as expected without a depth rule" in words
    healthy = said(deep.judged(deep.study("depth_mup"), lambda *_: 1.0))
    assert "\ndepth-stable: " in healthy
    assert "the slope on width is the same at every depth" in healthy


def test_nothing_measured_has_no_remarks() -> None:
    assert remarks(judged(study(), [])) == ()


def test_a_tensor_that_is_shown_and_not_judged_is_in_no_sentence() -> None:
    raw = written.cell("readout (raw)", 0.9).model_copy(update={"bends": True, "curvature": 0.4})
    healthy = written.verdict(written.cell("fc1", 0.0)).model_copy(update={"as_theory": True})
    shown = healthy.model_copy(update={"cells": (*healthy.cells, raw)})
    assert shown.sentence() == healthy.sentence() == "flat in all 1 tensors"
    assert remarks(shown) == remarks(healthy)
    assert sentences.power(shown) == sentences.power(healthy)


def test_a_variant_of_which_only_other_statistics_were_recorded_says_so() -> None:
    rms = written.cell("fc1", 0.9).model_copy(update={"statistic": Statistic.RMS})
    nothing = written.verdict().model_copy(update={"cells": (rms,)})
    assert "nothing that decides was measured" in card(nothing, is_over=True).sentence
    assert card(written.verdict(), is_over=True).sentence == "nothing was measured"
