"""A study trained here and now, without server, queue or database: what `muscope check` runs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from muscope.lab import engine
from muscope.plan import PlannedBundle, tensors
from muscope.records import Sample, StepRecord
from muscope.spec import RunSpec
from muscope.vocabulary import Role


@dataclass(frozen=True, slots=True)
class Arrival:
    """What one step of one bundle brought: its samples and the training loss of every run."""

    bundle: PlannedBundle
    step: int
    samples: tuple[Sample, ...]
    losses: tuple[float, ...]


def train(bundles: Sequence[PlannedBundle]) -> Iterator[Arrival]:
    """Train bundle after bundle; every step arrives as soon as it is measured."""
    for bundle in bundles:
        roles = {entry.name: entry.role for entry in tensors(bundle.runs[0])}
        for record in engine.train(bundle.runs):
            yield Arrival(
                bundle=bundle,
                step=record.step,
                samples=tuple(_samples(record, bundle.runs, roles)),
                losses=tuple(progress.train_loss for progress in record.progress),
            )


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
        )
