"""Every run of a study where its grid has it, with state and loss: what a heat-map shows."""

import json
from dataclasses import dataclass

from sqlalchemy import Connection, Row, and_, func, select

from muscope.storage import nonfinite
from muscope.storage.endings import not_replaced
from muscope.storage.holders import holder
from muscope.storage.measurements import shown_attempt
from muscope.storage.tables import progress, run
from muscope.vocabulary import RunState

_TRAIN_LOSS = nonfinite.PROGRESS_COLUMNS.index("train_loss")
_EVAL_LOSS = nonfinite.PROGRESS_COLUMNS.index("eval_loss")


@dataclass(frozen=True, slots=True)
class GridRun:
    """One run: its place, its state, and its latest loss, held out where that was evaluated.

    `number` counts the runs of the study in the order of its plan; `is_check` says that it measures
    sizes, so that it has no place on the axis of learning rates.
    """

    number: int
    variant: str
    width: int
    depth: int
    batch_size: int | None
    sequence_length: int | None
    steps: int | None
    octave: float
    seed: int
    is_check: bool
    state: RunState
    step: int | None
    loss: float | None
    nonfinite_step: int | None
    nonfinite_tensor: str | None


def runs(conn: Connection, study_id: str) -> list[GridRun]:
    """The runs of a study in the order of its plan, numbered as its list of runs has them.

    One that was trained again is left out for the one in its place.
    """
    last_step = (
        select(func.max(progress.c.step))
        .where(progress.c.run_id == holder(), progress.c.attempt_id == shown_attempt())
        .correlate(run)
        .scalar_subquery()
    )
    columns = (progress.c.step, progress.c.train_loss, progress.c.eval_loss, progress.c.nonfinite)
    query = (
        select(run, *columns, not_replaced([study_id]).label("stands"))
        .select_from(run)
        .outerjoin(
            progress,
            and_(
                progress.c.run_id == holder(),
                progress.c.attempt_id == shown_attempt(),
                progress.c.step == last_step,
            ),
        )
        .where(run.c.study_id == study_id)
        .order_by(run.c.ordinal)
    )
    numbered = enumerate(conn.execute(query), start=1)
    return [_grid_run(number, row) for number, row in numbered if row.stands]


def _grid_run(number: int, row: Row[*tuple[object, ...]]) -> GridRun:
    asked, bits = json.loads(row.spec_json), row.nonfinite or 0
    train = nonfinite.restored(row.train_loss, bits, _TRAIN_LOSS)
    held_out = nonfinite.restored(row.eval_loss, bits, _EVAL_LOSS)
    return GridRun(
        number=number,
        variant=row.variant,
        width=row.width,
        depth=row.depth,
        batch_size=asked.get("batch_size"),
        sequence_length=asked.get("sequence_length"),
        steps=asked.get("steps"),
        octave=row.octave,
        seed=row.seed,
        is_check=asked.get("record", "activations") != "losses",
        state=RunState(row.state),
        step=row.step,
        loss=train if held_out is None else held_out,
        nonfinite_step=row.first_nonfinite_step,
        nonfinite_tensor=row.first_nonfinite_tensor,
    )
