"""The Grid tab of a study's page: every run where the grid has it."""

import math
from collections.abc import Iterator
from typing import NamedTuple

from sqlalchemy import Connection

from muscope.recorded import RecordedVariant
from muscope.reports import run_grid
from muscope.reports.run_grid import PlacedRun
from muscope.spec import StudySpec, Variant, digest
from muscope.storage import grid
from muscope.storage.grid import GridRun
from muscope.storage.studies import StudyRow
from muscope_server.contexts import GridContext


def context(conn: Connection, row: StudyRow) -> GridContext:
    """The tables, and how many runs stand where."""
    known = list(placed(conn, row))
    return GridContext(
        facets=run_grid.facets(known),
        counts=run_grid.counts(known),
        has_held_out=isinstance(row.spec, StudySpec) and row.spec.held_out > 0,
        has_checks=any(run.is_check for run in known),
        is_joined=len({run.is_check for run in known}) > 1,
    )


def placed(conn: Connection, row: StudyRow) -> Iterator[PlacedRun]:
    """Every run, with what its table holds."""
    variants = {variant.key: _of(variant) for variant in row.spec.variants}
    found = grid.runs(conn, row.id)
    several = {
        name: len({getattr(run, name) for run in found if not run.is_check}) > 1
        for name in ("depth", "batch_size", "sequence_length", "steps")
    }
    several["batch_size"] |= isinstance(row.spec, StudySpec) and len(row.spec.batch_sizes) > 1
    several["depth"] |= len({run.depth for run in found}) > 1
    is_joined = len({run.is_check for run in found}) > 1
    for run in found:
        variant = variants.get(run.variant)
        if variant is None:
            continue
        yield PlacedRun(
            number=run.number,
            variant=run.variant,
            label=variant.label,
            group=f"{variant.model} {'check' if run.is_check else ''}",
            held=_held(run, several, is_joined=is_joined),
            width=run.width,
            seed=run.seed,
            column=float(run.seed) if run.is_check else variant.log2_rate + run.octave,
            is_check=run.is_check,
            state=run.state,
            loss=run.loss,
            step=run.step,
            note=_note(run),
        )


class _Known(NamedTuple):
    """What the runs of a variant have in common: its words, its model, and its rate."""

    label: str
    model: str
    log2_rate: float


def _of(variant: Variant | RecordedVariant) -> _Known:
    if isinstance(variant, RecordedVariant):
        return _Known(variant.label, "", 0.0)
    rate = math.log2(variant.optimizer.learning_rate)
    return _Known(variant.label, digest(variant.model), rate)


def _held(run: GridRun, several: dict[str, bool], *, is_joined: bool) -> tuple[str, ...]:
    part = "coordinate check" if run.is_check else "learning rates"
    held = tuple(
        f"{name.replace('_', ' ')} {value}"
        for name in several
        if several[name] and (value := getattr(run, name)) is not None
    )
    return (part, *held) if is_joined else held


def _note(run: GridRun) -> str:
    if run.nonfinite_tensor is None:
        return ""
    return f"first not finite in {run.nonfinite_tensor} at step {run.nonfinite_step}"
