"""What an inconclusive verdict is told to add decides it as often as is said."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from muscope.spec import StudySpec
from muscope.theory.expected import Standard
from muscope.theory.expected.coordinates import UNKNOWN
from muscope.verdicts.cells import cells_on
from muscope.verdicts.grid import Grid, Place
from muscope.verdicts.judge import judge
from muscope.verdicts.power import ENOUGH, MOST_COST, Measured, cheapest
from muscope.verdicts.slopes import Floats
from muscope.verdicts.types import Addition, Cell
from muscope.vocabulary import CellVerdict, Role, Statistic, TensorKind
from tests.core.grids import judged, samples, study

WIDTHS = (64, 128, 256, 512)


def square(width: int) -> float:
    return float(width) ** 2


def draws(noise: float, *, seeds: int, widths: Sequence[int], slopes: float = 0.0) -> Floats:
    """Sizes of 400 tensors, (tensors, widths, seeds): noise of log2, equal at every width.

    Their slopes are drawn from all within `slopes` around 0.
    """
    generator = np.random.default_rng(7)
    exponents = generator.uniform(-slopes, slopes, (400, 1, 1))
    logs = generator.normal(0.0, noise, (400, seeds, len(widths)))
    by_width = exponents * np.log2(np.array(widths, dtype=np.float64))
    found: Floats = 2.0 ** (by_width + logs).transpose(0, 2, 1)
    return found


def fitted(values: Floats, widths: Sequence[int]) -> list[Cell]:
    """A cell for every tensor."""
    places = tuple(
        Place(0, TensorKind.ACTIVATION, f"t{number}", Role.HIDDEN, 0)
        for number in range(len(values))
    )
    grid = Grid(
        places, (Statistic.L1,), values[:, None], np.ones(values[:, None].shape, dtype=bool)
    )
    return list(cells_on(grid, widths, lambda place, statistic: Standard(UNKNOWN)))


def offered(cell: Cell, seeds: int, widths: Sequence[int] = WIDTHS) -> Addition | None:
    return cheapest([cell], Measured(widths, seeds, square))


def decided_and_said(noise: float, slopes: float) -> tuple[list[bool], list[float]]:
    """Of all that is offered: whether it decides, and how likely it was said to."""
    seeds, wide = 4, (*WIDTHS, 1024, 2048)
    values = draws(noise, seeds=64, widths=wide, slopes=slopes)
    decided, said = [], []
    for number, cell in enumerate(fitted(values[:, : len(WIDTHS), :seeds], WIDTHS)):
        addition = offered(cell, seeds) if cell.verdict is CellVerdict.INCONCLUSIVE else None
        if addition is None or addition.probability is None:
            continue
        widths = (*WIDTHS, *addition.widths)
        (after,) = fitted(values[number : number + 1, : len(widths), : addition.seeds], widths)
        decided.append(after.verdict is not CellVerdict.INCONCLUSIVE)
        said.append(addition.probability)
    return decided, said


@pytest.mark.parametrize("noise", [0.06, 0.12, 0.25])
def test_of_slopes_of_which_nothing_is_known_as_many_are_decided_as_is_said(noise: float) -> None:
    decided, said = decided_and_said(noise, slopes=0.5)
    assert len(said) > 40
    # a share of n has a standard deviation of at most 0.5 / sqrt(n)
    assert abs(np.mean(decided) - np.mean(said)) < 3 * 0.5 / math.sqrt(len(said))


def test_of_slopes_that_are_flat_more_are_decided_than_is_said() -> None:
    decided, said = decided_and_said(0.12, slopes=0.0)
    assert np.mean(decided) >= np.mean(said) >= ENOUGH


def test_what_is_offered_is_the_cheapest_that_is_likely_enough() -> None:
    cells = fitted(draws(0.1, seeds=4, widths=WIDTHS), WIDTHS)
    (cell, *_) = [cell for cell in cells if cell.verdict is CellVerdict.INCONCLUSIVE]
    addition = offered(cell, 4)
    assert addition is not None
    assert addition.probability is not None
    assert addition.probability >= ENOUGH
    # one seed less at the same widths is not enough
    least = Measured(WIDTHS, 4, lambda width: square(width) if width <= 512 else math.inf)
    by_seeds = cheapest([cell], least)
    assert by_seeds is not None
    assert by_seeds.widths == ()
    assert by_seeds.cost is not None
    assert addition.cost is not None
    assert addition.cost <= by_seeds.cost <= MOST_COST


def test_where_wide_models_cost_no_more_they_are_taken_before_seeds() -> None:
    cells = fitted(draws(0.1, seeds=4, widths=WIDTHS), WIDTHS)
    (cell, *_) = [cell for cell in cells if cell.verdict is CellVerdict.INCONCLUSIVE]
    cheap, dear = (
        cheapest([cell], Measured(WIDTHS, 4, cost)) for cost in (lambda width: 1.0, square)
    )
    assert cheap is not None
    assert cheap.widths
    assert dear is not None
    assert not dear.widths
    assert dear.seeds > 4


def test_a_width_that_cannot_be_built_is_not_offered() -> None:
    cells = fitted(draws(0.1, seeds=4, widths=WIDTHS), WIDTHS)
    (cell, *_) = [cell for cell in cells if cell.verdict is CellVerdict.INCONCLUSIVE]
    measured = Measured(WIDTHS, 4, lambda width: 1.0)
    found = cheapest([cell], measured, is_possible=lambda width: False)
    assert found is not None
    assert found.widths == ()


def test_beside_a_slope_near_the_tolerance_an_offer_says_how_many_of_them_it_decides() -> None:
    (cell, *_) = fitted(draws(0.1, seeds=4, widths=WIDTHS), WIDTHS)
    opened = {"verdict": CellVerdict.INCONCLUSIVE}
    near = cell.model_copy(update={"slope": 0.1, "low": 0.05, "high": 0.15, **opened})
    inside = cell.model_copy(update={"slope": 0.0, "low": -0.12, "high": 0.12, **opened})
    of_nine, of_ten = (
        cheapest(cells, Measured(WIDTHS, 4, square))
        for cells in ([inside] * 9, [inside] * 9 + [near])
    )
    assert of_nine is not None
    assert of_ten is not None
    assert of_nine.probability is not None
    assert of_nine.probability >= ENOUGH
    assert of_ten.probability is not None
    assert of_ten.probability < ENOUGH
    assert of_ten.decided is not None
    assert of_ten.decided >= ENOUGH
    assert "of the open slopes, and the whole verdict with a prob" in of_ten.sentence()
    assert "of the open slopes" not in of_nine.sentence()


def test_one_seed_is_told_to_take_three() -> None:
    (cell, *_) = fitted(draws(0.1, seeds=1, widths=WIDTHS), WIDTHS)
    addition = offered(cell, 1)
    assert addition is not None
    assert (addition.seeds, addition.widths) == (3, ())
    assert addition.cost == pytest.approx(2.0)
    assert addition.sentence() == "3 seeds in all would give intervals, for 2 times the cost so far"


def test_what_nothing_moved_is_offered_nothing() -> None:
    (cell, *_) = fitted(draws(0.1, seeds=4, widths=WIDTHS), WIDTHS)
    still = cell.model_copy(
        update={"slope": None, "low": None, "high": None, "verdict": CellVerdict.INCONCLUSIVE}
    )
    assert offered(still, 4) is None


def noisy(spec: StudySpec) -> list[float]:
    """Sizes that scatter by a fifth, by seed and width."""
    generator = np.random.default_rng(3)
    return [float(value) for value in 2.0 ** generator.normal(0, 0.25, spec.run_count)]


def test_an_inconclusive_study_offers_what_would_decide_it_and_says_so() -> None:
    spec = study(parametrization="mup", seeds=3)
    scatter = noisy(spec)
    measured = samples(
        spec, lambda run, entry, step: scatter[run.seed + 3 * spec.widths.index(run.width)]
    )
    verdict = judged(spec, measured)
    assert verdict.verdict is CellVerdict.INCONCLUSIVE
    assert verdict.addition is not None
    assert verdict.power() is not None
    assert verdict.addition.sentence() in (verdict.power() or "")
    flat = judged(spec, [replace(one) for one in samples(spec, lambda *_: 1.0)])
    assert flat.addition is None
    assert flat.power() is None


def test_what_is_not_all_there_is_offered_nothing_yet() -> None:
    spec = study(parametrization="mup", seeds=3)
    scatter = noisy(spec)
    measured = samples(
        spec, lambda run, entry, step: scatter[run.seed + 3 * spec.widths.index(run.width)]
    )
    (variant,) = spec.variants
    (verdict,) = judge(spec, measured, runs_judged={variant.key: 5}, final=False)
    assert verdict.verdict is CellVerdict.INCONCLUSIVE
    assert verdict.addition is None
