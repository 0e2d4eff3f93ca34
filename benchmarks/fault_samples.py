"""Measured samples of the fault library, kept piece by piece, so that a run can be resumed."""

import gzip
import os
import pickle
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.fault_grid import JUDGED_SEEDS, Group
from muscope import in_process, plan
from muscope.records import Sample, Values
from muscope.spec import RunSpec
from muscope.vocabulary import Role, TensorKind

MEMBERS = 40
"""Of a bundle: all 140 runs of a transformer of width 512 take 13 GB, and are no faster."""


@dataclass(frozen=True, slots=True)
class Piece:
    """The runs of one width and depth of a group, of the seeds of one study.

    Seeds are counted from `first_seed`: those that nothing was tuned on are beyond the first ones.
    """

    group: Group
    width: int
    depth: int
    study: int
    first_seed: int = 0

    @property
    def path(self) -> str:
        """Where its samples are, below the folder."""
        seeds = f"from-{self.first_seed}/" if self.first_seed else ""
        return f"{seeds}{self.group.name}/{self.study}-d{self.depth}-w{self.width}.pickle.gz"

    def runs(self) -> Iterator[RunSpec]:
        """Its runs."""
        first = self.study * JUDGED_SEEDS
        for run in plan.runs(self.group.spec):
            is_here = (run.width, run.depth) == (self.width, self.depth)
            if is_here and first <= run.seed < first + JUDGED_SEEDS:
                yield run.model_copy(update={"seed": run.seed + self.first_seed})


def pieces(group: Group, first_seed: int = 0) -> Iterator[Piece]:
    """All pieces of a group, study by study, so that the first can be judged early."""
    spec = group.spec
    for study in range(max(1, spec.seeds // JUDGED_SEEDS)):
        for depth in spec.depths:
            for width in spec.widths:
                yield Piece(group, width, depth, study, first_seed)


def measure(piece: Piece, folder: Path) -> float:
    """Train and keep one piece, unless it is there; seconds that it took."""
    path = folder / piece.path
    if path.exists():
        return 0.0
    started = time.perf_counter()
    runs = list(piece.runs())
    parts = [runs[first : first + MEMBERS] for first in range(0, len(runs), MEMBERS)]
    bundles = [bundle for part in parts for bundle in in_process.fitting(plan.bundles(part))]
    found = [sample for arrival in in_process.train(bundles) for sample in arrival.samples]
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    with gzip.open(unfinished, "wb", compresslevel=3) as file:
        pickle.dump([_row(sample) for sample in found], file)
    os.replace(unfinished, path)
    return time.perf_counter() - started


def read(group: Group, folder: Path, study: int, first_seed: int = 0) -> list[Sample]:
    """The samples of one study, its seeds counted from 0; those that are there."""
    rows: list[tuple[object, ...]] = []
    for piece in pieces(group, first_seed):
        path = folder / piece.path
        if piece.study == study and path.exists():
            with gzip.open(path) as file:
                rows.extend(pickle.load(file))
    first = first_seed + study * JUDGED_SEEDS
    return [_sample(row, first) for row in rows]


def is_whole(group: Group, folder: Path, study: int, first_seed: int = 0) -> bool:
    """Whether all of one study has been measured."""
    own = (piece for piece in pieces(group, first_seed) if piece.study == study)
    return all((folder / piece.path).exists() for piece in own)


def _row(sample: Sample) -> tuple[object, ...]:
    """Plain values, which no later version of a class reads wrongly."""
    return (
        sample.variant,
        sample.width,
        sample.depth,
        sample.seed,
        sample.step,
        sample.tensor,
        sample.role.value,
        sample.kind.value,
        tuple(sample.values),
    )


def _sample(row: tuple[object, ...], first: int) -> Sample:
    variant, width, depth, seed, step, tensor, role, kind, values = row
    return Sample(
        variant=str(variant),
        width=int(str(width)),
        depth=int(str(depth)),
        seed=int(str(seed)) - first,
        step=int(str(step)),
        tensor=str(tensor),
        role=Role(str(role)),
        kind=TensorKind(str(kind)),
        values=Values(*values),  # type: ignore[misc]
    )
