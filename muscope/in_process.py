"""A study trained here and now, without server, queue or database: what `muscope check` runs."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from muscope import plan
from muscope.budget import Budget
from muscope.lab import engine, environment
from muscope.lab.watch import Watch
from muscope.machine import Machine
from muscope.plan import PlannedBundle, tensors
from muscope.records import ExtraRow, Progress, Sample, StepRecord
from muscope.spec import RunSpec, StudySpec
from muscope.stages import Results, hopeless, next_stage
from muscope.verdicts.hyperparameters import sampling
from muscope.verdicts.hyperparameters import trials as sets
from muscope.verdicts.hyperparameters.trials import SetTrial
from muscope.verdicts.transfer.losses import Trial, final_loss, of_run
from muscope.vocabulary import Role


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one step of one bundle brought: its samples and the training loss of every run."""

    bundle: PlannedBundle
    step: int
    samples: tuple[Sample, ...]
    losses: tuple[float, ...]
    budget: Budget | None = None
    extras: tuple[ExtraRow, ...] = ()


def fitting(bundles: Iterable[PlannedBundle]) -> tuple[PlannedBundle, ...]:
    """The same runs in bundles that fit into the memory that is free now."""
    free = environment.free_bytes()
    return tuple(piece for bundle in bundles for piece in plan.cut(bundle, free))


def train(bundles: Sequence[PlannedBundle], machine: Machine | None = None) -> Iterator[Arrival]:
    """Train bundle after bundle; every step arrives as soon as it is measured.

    The last one of a bundle says what the bundle took, on this machine if it was measured.
    """
    for bundle in bundles:
        roles = {entry.name: entry.role for entry in tensors(bundle.runs[0])}
        watch, last = Watch(), bundle.runs[0].steps
        for record in watch.over(engine.train(bundle.runs)):
            yield Arrival(
                bundle=bundle,
                step=record.step,
                samples=tuple(_samples(record, bundle.runs, roles)),
                losses=tuple(progress.train_loss for progress in record.progress),
                extras=tuple(_extras(record, bundle.runs, roles)),
                budget=watch.budget(bundle.runs, machine) if record.step == last else None,
            )


def sweep(
    spec: StudySpec, seen: Callable[[PlannedBundle, int], None] | None = None
) -> Iterator[tuple[PlannedBundle, tuple[Trial, ...]]]:
    """Train a learning-rate study stage by stage; after every bundle, all trials so far.

    `seen` is told of every step of every bundle that is done.
    """
    trials: list[Trial] = []
    stages = 0
    while runs := next_stage(spec, Results(stages, trials=trials)):
        stages += 1
        for bundle in fitting(plan.bundles(runs)):
            stop = hopeless.Rule(bundle.runs) if spec.search == "adaptive" else None
            trials.extend(_trials(bundle, stop, seen))
            yield bundle, tuple(trials)


def search(spec: StudySpec) -> Iterator[tuple[PlannedBundle, tuple[SetTrial, ...]]]:
    """Train a hyperparameter search stage by stage; after every bundle, all trials so far."""
    trials: list[SetTrial] = []
    stages = 0
    while runs := next_stage(spec, Results(stages, sets=trials, draw=sampling.points)):
        stages += 1
        for bundle in fitting(plan.bundles(runs)):
            trials.extend(_set_trials(bundle))
            yield bundle, tuple(trials)


def _set_trials(bundle: PlannedBundle) -> Iterator[SetTrial]:
    curves: list[list[Progress]] = [[] for _ in bundle.runs]
    for record in engine.train(bundle.runs):
        for progress in record.progress:
            curves[progress.member].append(progress)
    for run, curve in zip(bundle.runs, curves, strict=True):
        losses = [one.train_loss for one in curve]
        norms = [one.grad_norm for one in curve if one.grad_norm is not None]
        yield sets.trial(run, losses, norms, curve[-1].eval_loss)


def _trials(
    bundle: PlannedBundle,
    stop: hopeless.Rule | None,
    seen: Callable[[PlannedBundle, int], None] | None,
) -> Iterator[Trial]:
    """Every member with its loss, infinite of those that were stopped."""
    curves: list[list[Progress]] = [[] for _ in bundle.runs]
    for record in engine.train(bundle.runs, stop):
        for progress in record.progress:
            curves[progress.member].append(progress)
        if seen is not None:
            seen(bundle, record.step)
    stopped = stop.stopped if stop is not None else ()
    for place, (run, curve) in enumerate(zip(bundle.runs, curves, strict=True)):
        loss = final_loss([one.train_loss for one in curve], curve[-1].eval_loss)
        loss = math.inf if place in stopped else loss
        train_loss = final_loss([one.train_loss for one in curve], None)
        yield of_run(
            run,
            loss,
            start=curve[0].train_loss,
            train_loss=train_loss,
            stopped=place in stopped,
            step=len(curve) - 1,
            at_step=curve[-1].train_loss,
        )


def _extras(
    record: StepRecord, runs: Sequence[RunSpec], roles: dict[str, Role]
) -> Iterator[ExtraRow]:
    """The numbers of plugins' statistics, under EXTRA_HEADER."""
    for found in record.extras:
        run = runs[found.member]
        yield (
            run.variant.key, run.width, run.depth, run.model.batch_size, run.seed, record.step,
            found.tensor, roles[found.tensor].value, found.kind.value, found.statistic, found.value,
        )  # fmt: skip


def _samples(
    record: StepRecord, runs: Sequence[RunSpec], roles: dict[str, Role]
) -> Iterator[Sample]:
    for found in record.measurements:
        run = runs[found.member]
        yield Sample(
            variant=run.variant.key,
            width=run.width,
            depth=run.depth,
            seed=run.seed,
            step=record.step,
            tensor=found.tensor,
            role=roles[found.tensor],
            kind=found.kind,
            values=found.values,
            batch_size=run.model.batch_size,
        )
