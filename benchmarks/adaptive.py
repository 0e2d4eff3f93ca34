"""The adaptive learning-rate search against the full grid, on studies that are really trained.

Every study trains its whole grid once; the search then asks for runs of it and is given their
losses, which are those that it would have trained itself; what its rule would have stopped half-way
counts with the steps until there, and its loss as infinite. Compared are the optima at every width
and the floating-point operations. Studies differ in model, parametrization and seeds, and none has
seeds that the search was tuned on.
"""

import math
import statistics
import sys
from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from muscope import costs, plan
from muscope.lab import engine
from muscope.records import Progress
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, StudySpec
from muscope.stages import Results, hopeless, next_stage
from muscope.verdicts.transfer.losses import Trial, curves, final_loss, mean_curve
from muscope.verdicts.transfer.optimum import optimum
from muscope.verdicts.transfer.places import Place

MODELS = {
    "gpt": ModelSpec(name="gpt", batch_size=8, options={"head_size": 16, "sequence_length": 32}),
    "mlp": ModelSpec(name="mlp", batch_size=64),
}
STUDIES = {"gpt": 6, "mlp": 0}
"""Per model and parametrization, each with seeds of its own."""
FIRST_NUMBER = 10
"""Those before were looked at when the rule of the search was made."""
HALF_OCTAVES = tuple(half / 2 for half in range(-8, 9))


class Compared(NamedTuple):
    """One study: how far the optima are apart at each width, and what the search cost."""

    name: str
    apart: list[float]
    only_one: int
    share: float
    trained_share: float
    stopped: int
    runs: int
    stages: int


class Trained(NamedTuple):
    """A run of the grid, trained to the end: its trial, and its smoothed loss half-way."""

    trial: Trial
    half_way: float


def study(model: str, parametrization: str) -> StudySpec:
    """Seventeen rates half an octave apart at three widths, three seeds."""
    adamw = OptimizerSpec(name="adamw", learning_rate=2**-7)
    return StudySpec(
        name=f"{model} {parametrization}",
        kind="lr_transfer",
        arms=(Arm(model=MODELS[model], optimizers=(adamw,)),),
        parametrizations=(ParametrizationSpec(name=parametrization),),
        widths=(32, 64, 128),
        octaves=HALF_OCTAVES,
        seeds=3,
        steps=50,
        held_out=4,
        search="adaptive",
    )


def train(runs: tuple[RunSpec, ...], number: int) -> Iterator[Trained]:
    """Every run with the seeds of one member of the studies; its trial has the run's own seed."""
    for bundle in plan.bundles(runs):
        shifted = [run.model_copy(update={"seed": run.seed + 100 * number}) for run in bundle.runs]
        curve: list[list[Progress]] = [[] for _ in shifted]
        for record in engine.train(shifted):
            for progress in record.progress:
                curve[progress.member].append(progress)
        for run, own in zip(bundle.runs, curve, strict=True):
            losses = [one.train_loss for one in own]
            loss = final_loss(losses, own[-1].eval_loss)
            trial = Trial(run.variant.key, run.width, run.depth, run.octave, run.seed, loss)
            yield Trained(trial, final_loss(losses[: hopeless.rung(run.steps) + 1], None))


def compare(spec: StudySpec, number: int) -> Compared:
    """Train the grid, replay the search on it."""
    full = list(train(tuple(plan.runs(spec)), number))
    known = {one.trial[:5]: one for one in full}
    found: list[Trial] = []
    taken, whole, stopped, stages = 0.0, 0.0, 0, 0
    while runs := next_stage(spec, Results(stages, trials=found)):
        stages += 1
        for bundle in plan.bundles(runs):
            given = [known[r.variant.key, r.width, r.depth, r.octave, r.seed] for r in bundle.runs]
            places = hopeless.hopeless(bundle.runs, [one.half_way for one in given])
            stopped += len(places)
            taken += sum(map(costs.flops, hopeless.as_taken(bundle.runs, places)))
            whole += bundle.flops
            found += [
                one.trial._replace(loss=math.inf) if place in places else one.trial
                for place, one in enumerate(given)
            ]
    there, here = _optima([one.trial for one in full]), _optima(found)
    pairs = [(there[place], here[place]) for place in there]
    grid = sum(map(costs.flops, plan.runs(spec)))
    return Compared(
        name=f"{spec.name}, seeds {number}",
        apart=[abs(a - b) for a, b in pairs if a is not None and b is not None],
        only_one=sum((a is None) != (b is None) for a, b in pairs),
        share=taken / grid,
        trained_share=whole / grid,
        stopped=stopped,
        runs=len(found),
        stages=stages,
    )


def _optima(trials: list[Trial]) -> dict[Place, float | None]:
    return {place: optimum(mean_curve(seeds)) for place, seeds in curves(trials).items()}


def main() -> None:
    """Print one line per study, then the worst and the median of all."""
    results = []
    for model, parametrization in product(MODELS, ("sp", "mup")):
        for number in range(FIRST_NUMBER, FIRST_NUMBER + STUDIES[model]):
            one = compare(study(model, parametrization), number)
            results.append(one)
            print(
                f"{one.name:20s} optima at {len(one.apart)} widths, at most "
                f"{max(one.apart, default=0.0):.3f} octaves apart; {one.share:.1%} of the FLOPs "
                f"in {one.stages} stages; {one.stopped} of {one.runs} runs stopped half-way, "
                f"{one.trained_share:.1%} without"
                + (f"; {one.only_one} bracketed by one of the two only" if one.only_one else ""),
                flush=True,
            )
    apart = [octaves for one in results for octaves in one.apart]
    shares = [one.share for one in results]
    saved = [one.trained_share - one.share for one in results]
    print(
        f"{len(results)} studies: optima at most {max(apart):.3f} octaves apart, median "
        f"{statistics.median(apart):.3f}; FLOPs at most {max(shares):.0%}, median "
        f"{statistics.median(shares):.0%} of the full grid, {statistics.median(saved):.1%} less by "
        "stopping half-way"
    )
    if max(apart) > 0.25 or max(shares) > 0.4 or any(one.only_one for one in results):
        sys.exit("the search missed its target: 0.25 octaves, 40 %")


if __name__ == "__main__":
    main()
