"""A grid that grows by itself goes on where the best rate lies at its end, and nowhere else."""

import math

import pytest

from muscope import plan
from muscope.extension import recommended
from muscope.spec import StudySpec
from muscope.verdicts.transfer.judge import judge
from muscope.verdicts.transfer.losses import Trial
from tests.core.test_search import Loss, study, trained

GRID = (-1.0, -0.5, 0.0, 0.5, 1.0)


def growing(octaves: int, *, search: str = "full") -> StudySpec:
    """Three octaves of rates about a guess, and so many more on each side if need be."""
    data = study(search=search).model_dump() | {"octaves": GRID, "extend_octaves": octaves}
    return StudySpec.model_validate(data)


def bowl(optimum: float, drift: float = 0.0) -> Loss:
    """A parabola whose optimum moves with width."""
    return lambda octave, width, seed: (
        3.0 + 0.1 * (octave - optimum - drift * math.log2(width / 32)) ** 2 + seed / 50
    )


def tried(trials: list[Trial], width: int) -> list[float]:
    return sorted({trial.octave for trial in trials if trial.width == width})


@pytest.mark.parametrize("search", ["full", "adaptive"])
@pytest.mark.parametrize("optimum", [-2.6, 2.6])
def test_a_grid_grows_until_the_optimum_is_bracketed(search: str, optimum: float) -> None:
    spec = growing(4, search=search)
    *_, trials = trained(spec, bowl(optimum))
    (found,) = judge(spec, trials, runs_judged={}, final=True)
    assert [one.optimum for one in found.optima] == [pytest.approx(optimum, abs=0.01)] * 4
    beyond = {trial.octave for trial in trials} - set(GRID)
    assert {octave > 0 for octave in beyond} == {optimum > 0}


def test_only_the_widths_that_need_it_grow_and_only_on_that_side() -> None:
    spec = growing(3)
    first, *_, trials = map(list, trained(spec, bowl(0.2, drift=-0.7)))
    assert tried(first, 256) == list(GRID)
    assert tried(trials, 32) == list(GRID)
    assert tried(trials, 256) == [-3.0, -2.5, -2.0, -1.5, *GRID]


@pytest.mark.parametrize("search", ["full", "adaptive"])
def test_a_grid_grows_no_further_than_it_may(search: str) -> None:
    spec = growing(2, search=search)
    *_, trials = trained(spec, bowl(-9.0))
    assert min(tried(trials, 256)) == -3.0
    assert {trial.octave for trial in trials} <= set(spec.reachable_octaves)
    (found,) = judge(spec, trials, runs_judged={}, final=True)
    assert all(one.optimum is None for one in found.optima)
    addition = recommended(spec, [found])
    assert addition is not None
    assert min(addition.octaves) == -4.0
    assert set(addition.octaves) >= {-3.0, -3.5}


def test_a_seed_whose_own_best_rate_lies_at_the_end_makes_the_grid_grow_too() -> None:
    """Its interval needs the optimum of every seed."""
    spec = growing(2)

    def loss(octave: float, width: int, seed: int) -> float:
        return 3.0 + 0.1 * (octave - 1.2 * (seed == 0)) ** 2

    *_, trials = trained(spec, loss)
    assert max(tried(trials, 32)) == 2.0
    (found,) = judge(spec, trials, runs_judged={}, final=True)
    assert all(one.low is not None for one in found.optima)


def test_where_all_diverged_lower_rates_are_tried() -> None:
    spec = growing(2)
    *_, trials = trained(spec, lambda octave, width, seed: math.inf if octave > -1.6 else 3.0)
    assert tried(trials, 32)[0] == -3.0
    assert tried(trials, 32)[-1] == GRID[-1]


def test_the_plan_is_the_most_that_the_grid_can_become() -> None:
    spec, plain = growing(2), growing(0)
    planned = plan.plan(spec)
    assert (planned.at_most, plan.plan(plain).at_most) == (True, False)
    assert planned.run_count == len(spec.reachable_octaves) * len(spec.widths) * spec.seeds
    assert spec.reachable_octaves == tuple(half / 2 for half in range(-6, 7))
    assert plain.reachable_octaves == GRID
