"""The adaptive search finds the optimum of the full grid, cheaply, on landscapes of all shapes."""

import math
import random
from collections.abc import Callable, Iterator

import pytest

from muscope import costs, plan
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.stages import Results, next_stage
from muscope.verdicts.transfer.losses import Trial, curves, mean_curve
from muscope.verdicts.transfer.optimum import optimum

WIDTHS = (32, 64, 128, 256)
NOISE = 0.002
"""Nats between a cell and the smooth curve: a tenth of what a rate an octave off costs."""

Loss = Callable[[float, int, int], float]
"""Of octave, width and seed."""


def study(*, spacing: float = 0.5, search: str = "adaptive", seeds: int = 3) -> StudySpec:
    """A GPT at four widths and seven octaves of rates."""
    gpt = ModelSpec(name="gpt", batch_size=8, options={"head_size": 16, "sequence_length": 32})
    arm = Arm(model=gpt, optimizers=(OptimizerSpec(name="adamw", learning_rate=2**-8),))
    return StudySpec.model_validate(
        {
            "name": "search",
            "kind": "lr_transfer",
            "arms": (arm,),
            "parametrizations": (ParametrizationSpec(name="sp"),),
            "widths": WIDTHS,
            "octaves": tuple(
                spacing * n for n in range(round(-4 / spacing), round(3 / spacing) + 1)
            ),
            "seeds": seeds,
            "steps": 100,
            "search": search,
        }
    )


def landscape(kind: str, number: int) -> Loss:
    """A curve over the rates, steeper on the right, whose optimum moves as `kind` says."""
    chosen = random.Random(f"{kind}:{number}")
    start, drift, cliff = chosen.uniform(-1.0, 1.5), 0.0, 3.2
    left, right = chosen.uniform(0.02, 0.08), chosen.uniform(0.05, 0.2)
    match kind:
        case "drifts":
            start, drift = chosen.uniform(0.0, 1.5), -chosen.uniform(0.5, 1.0)
        case "leaves the grid":
            start, drift = chosen.uniform(-0.5, 0.5), -1.3
        case "falls off a cliff":
            drift, cliff = -0.3, 0.6

    def loss(octave: float, width: int, seed: int) -> float:
        away = octave - start - drift * math.log2(width / WIDTHS[0])
        if away > cliff:
            return math.inf
        noise = random.Random(f"{kind}:{number}:{octave}:{width}:{seed}").gauss(0, NOISE)
        rise = (left if away < 0 else right) * away**2
        return 3.0 + seed / 50 + rise + noise

    return loss


def trained(spec: StudySpec, loss: Loss) -> Iterator[list[Trial]]:
    """All trials so far, after every stage."""
    trials: list[Trial] = []
    stages = 0
    while runs := next_stage(spec, Results(stages, trials=trials)):
        stages += 1
        trials += [
            Trial(
                run.variant.key,
                run.width,
                run.depth,
                run.octave,
                run.seed,
                loss(run.octave, run.width, run.seed),
            )
            for run in runs
        ]
        yield trials


def optima(trials: list[Trial]) -> list[float | None]:
    found = {place.width: mean_curve(seeds) for place, seeds in curves(trials).items()}
    return [optimum(found[width]) for width in WIDTHS]


KINDS = ("stays", "drifts", "leaves the grid", "falls off a cliff")


@pytest.mark.parametrize("kind", KINDS)
def test_the_optimum_is_that_of_the_full_grid_for_two_fifths_of_its_cost(kind: str) -> None:
    spec, full = study(), study(search="full")
    cost = {run.width: costs.flops(run) for run in plan.runs(full)}
    whole = sum(cost[run.width] for run in plan.runs(full))
    for number in range(10):
        loss = landscape(kind, number)
        *_, found = trained(spec, loss)
        *_, known = trained(full, loss)
        for here, there in zip(optima(found), optima(known), strict=True):
            assert (here is None) == (there is None)
            assert here is None or there is None or abs(here - there) <= 0.25
        assert sum(cost[trial.width] for trial in found) <= 0.4 * whole


def test_nothing_is_asked_for_twice_or_outside_of_the_grid() -> None:
    spec = study(spacing=0.25)
    planned = {(run.width, run.octave, run.seed) for run in plan.runs(spec)}
    *_, trials = trained(spec, landscape("drifts", 0))
    asked = [(trial.width, trial.octave, trial.seed) for trial in trials]
    assert len(asked) == len(set(asked))
    assert set(asked) < planned


def test_an_optimum_beyond_the_grid_is_sought_up_to_its_edge_and_no_further() -> None:
    spec = study()
    *_, trials = trained(spec, lambda octave, width, seed: 3.0 - 0.1 * octave)
    assert optima(trials) == [None] * len(WIDTHS)
    assert max(trial.octave for trial in trials if trial.width == WIDTHS[-1]) == spec.octaves[-1]


def test_where_everything_diverges_lower_rates_are_tried() -> None:
    spec = study()
    *_, trials = trained(spec, lambda octave, width, seed: math.inf if octave > -3 else 3.0)
    assert {trial.octave for trial in trials if trial.loss == 3.0} >= {-4.0, -3.5}


def test_what_gave_no_result_is_not_asked_for_again() -> None:
    spec = study()
    trials: list[Trial] = []
    for stage in range(100):
        runs = next_stage(spec, Results(stage, trials=trials))
        if not runs:
            break
        trials += [Trial(r.variant.key, r.width, r.depth, r.octave, r.seed, None) for r in runs]
    else:
        pytest.fail("the search never ends")


def test_rates_that_seeds_cannot_tell_apart_are_all_tried_with_their_neighbours() -> None:
    """Two rates whose seeds disagree: both might be best, so both are looked around."""

    def loss(octave: float, width: int, seed: int) -> float:
        bump = 0.05 * (seed - 1) if octave == 1.0 else 0.0
        return 3.0 + 0.1 * max(0.0, abs(octave - 0.5) - 0.5) ** 2 + 0.001 * abs(octave) + bump

    *_, trials = trained(study(), loss)
    smallest = {trial.octave for trial in trials if trial.width == WIDTHS[0]}
    assert {-0.5, 0.0, 0.5, 1.0, 1.5} <= smallest


def test_a_full_search_has_one_stage_with_every_run() -> None:
    spec = study(search="full")
    assert next_stage(spec, Results()) == tuple(plan.runs(spec))
    assert next_stage(spec, Results(1)) == ()


def test_a_plan_says_that_its_runs_are_the_most_there_can_be() -> None:
    assert plan.plan(study()).at_most
    assert not plan.plan(study(search="full")).at_most
