"""Slopes against those of an earlier check: what is worse, what is noise, what is no comparison."""

import random

import pytest
from scipy.special import stdtrit

from muscope.verdicts import baseline
from muscope.verdicts.baseline import Baseline, Comparison
from muscope.verdicts.types import Cell
from muscope.vocabulary import CellVerdict
from tests.core import verdicts
from tests.core.verdicts import cell

SEEDS = 5


def kept(*cells: Cell) -> Baseline:
    judged = verdicts.verdict(*cells)
    return baseline.keep((judged,), {"widths": [64, 128]}, version="1", environment={})


def compared(before: list[Cell], now: list[Cell]) -> Comparison:
    return baseline.compare(kept(*before), kept(*now))


def test_equal_slopes_are_no_worse_and_a_baseline_survives_its_file() -> None:
    before = kept(cell("a", 0.3), cell("b", 0.0))
    again = Baseline.model_validate_json(before.model_dump_json())
    assert again == before
    found = baseline.compare(again, before)
    assert (found.worse, found.missing, found.compared) == ((), (), 2)


@pytest.mark.parametrize(
    ("before", "now", "worse"),
    [
        (0.0, 0.3, True),
        (0.0, -0.3, True),  # farther from flat on the other side
        (0.5, 0.9, True),  # the verdict is the same, the slope is not
        (0.5, 0.1, False),  # better
        (0.0, 0.019, False),  # less than anybody minds
    ],
)
def test_worse_is_farther_from_flat_beyond_both_intervals(
    before: float, now: float, worse: bool
) -> None:
    found = compared([cell("a", before)], [cell("a", now)])
    assert found.is_worse is worse
    assert [move.now.tensor for move in found.worse] == (["a"] if worse else [])


def test_within_the_intervals_is_no_worse() -> None:
    assert not compared([cell("a", 0.3, 0.05)], [cell("a", 0.33, 0.05)]).is_worse


def measured(random_: random.Random, tensors: int, slope: float = 0.0) -> list[Cell]:
    """Slopes of seeds with noise, and the intervals that they would get."""
    return [_measured(random_, f"t{number}", slope) for number in range(tensors)]


def _measured(random_: random.Random, name: str, slope: float) -> Cell:
    seeds = [random_.gauss(slope, 0.05) for _ in range(SEEDS)]
    mean = sum(seeds) / SEEDS
    error = (sum((x - mean) ** 2 for x in seeds) / (SEEDS - 1) / SEEDS) ** 0.5
    return cell(name, mean, float(stdtrit(SEEDS - 1, 0.95)) * error)


def test_noise_is_worse_in_at_most_one_check_of_twenty() -> None:
    """Holm's correction: 200 pairs of checks of 30 tensors each, none of which has changed."""
    random_ = random.Random(0)
    false = sum(compared(measured(random_, 30), measured(random_, 30)).is_worse for _ in range(200))
    assert false <= 17  # 200 at 5 %, and two standard deviations (3.1)


def test_a_fault_in_one_tensor_of_thirty_is_found() -> None:
    random_ = random.Random(1)
    found = 0
    for _ in range(20):
        before, now = measured(random_, 30), measured(random_, 30)
        now[7] = _measured(random_, "t7", 0.5)
        found += "t7" in [move.now.tensor for move in compared(before, now).worse]
    assert found >= 18


@pytest.mark.parametrize(("slope", "worse"), [(0.05, False), (0.15, True)])
def test_one_seed_has_no_test_and_needs_more_than_the_tolerance(slope: float, worse: bool) -> None:
    found = compared([cell("a", 0.0, None)], [cell("a", slope, None)])
    assert found.is_worse is worse
    assert found.untested == 1


def test_a_tensor_that_is_gone_or_diverges_is_no_pass() -> None:
    gone = compared([cell("a", 0.0), cell("b", 0.0)], [cell("a", 0.0)])
    assert gone.is_worse
    assert gone.missing == ("b of MLP · µP · AdamW",)
    nan = cell("a", 0.0).model_copy(update={"verdict": CellVerdict.DIVERGED, "slope": None})
    assert compared([cell("a", 0.0)], [nan]).is_worse
    assert not compared([nan], [nan]).is_worse


def test_what_is_excused_now_is_not_held_against_it() -> None:
    excused = cell("a", -0.5).model_copy(update={"exception": "it may start low"})
    assert compared([cell("a", 0.0)], [excused]).worse == ()


def test_other_widths_are_refused_and_other_seeds_are_told() -> None:
    before = {"widths": [64, 128], "seeds": 5, "target": "a.py"}
    with pytest.raises(ValueError, match=r"widths: 64, 128 → 64.*write a new baseline"):
        baseline.refuse_unlike(before, {**before, "widths": [64]})
    with pytest.raises(ValueError, match="learning_rate: none"):
        baseline.refuse_unlike(before, {**before, "learning_rate": 0.1})
    baseline.refuse_unlike(before, {**before, "seeds": 10})
    assert baseline.settings_that_differ(before, {**before, "seeds": 10}) == (
        (),
        ("seeds: 5 → 10",),
    )
