"""The losses of runs that have ended, as a learning-rate study is judged and goes on by."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeAlias

from sqlalchemy import Connection, Row, select

from muscope.storage import endings
from muscope.storage.tables import progress, run
from muscope.verdicts.transfer.losses import Trial, final_loss
from muscope.vocabulary import RunState

Losses: TypeAlias = tuple[float, float]
"""Of one run: the training loss before the first update, and the loss that it is judged by."""

RUNS_AT_ONCE = 500
"""A statement takes only so many parameters."""


def trials(conn: Connection, study_id: str) -> list[Trial]:
    """Every run of a study that has ended: with its loss, if it gave one.

    What was stopped early is worse than the best one, by a rule: its loss counts as infinite.
    """
    rows = conn.execute(
        select(run).where(run.c.study_id == study_id, ~endings.OPEN_RUN).order_by(run.c.ordinal)
    ).all()
    finished = [row.reuses or row.id for row in rows if row.state == RunState.FINISHED]
    losses = dict(_losses(conn, finished))
    return [_trial(row, losses) for row in rows]


def _trial(row: Row[*tuple[object, ...]], losses: dict[int, Losses]) -> Trial:
    is_bad = row.state in (RunState.DIVERGED, RunState.SKIPPED)
    first, last = losses.get(row.reuses or row.id, (None, None))
    return Trial(
        variant=row.variant,
        width=row.width,
        depth=row.depth,
        octave=row.octave,
        seed=row.seed,
        loss=float("inf") if is_bad else last,
        start=first,
    )


def _losses(conn: Connection, run_ids: Iterable[int]) -> Iterator[tuple[int, Losses]]:
    """By run; all of these have finished, so that every loss is finite."""
    ids = list(run_ids)
    for first in range(0, len(ids), RUNS_AT_ONCE):
        some = ids[first : first + RUNS_AT_ONCE]
        query = (
            select(progress.c.run_id, progress.c.train_loss, progress.c.eval_loss)
            .join(run, run.c.id == progress.c.run_id)
            .where(run.c.id.in_(some), progress.c.attempt_id == run.c.accepted_attempt)
            .order_by(progress.c.run_id, progress.c.step)
        )
        train: dict[int, list[float]] = defaultdict(list)
        held_out: dict[int, float | None] = {}
        for row in conn.execute(query):
            train[row.run_id].append(row.train_loss)
            held_out[row.run_id] = row.eval_loss  # the last step has it
        yield from (
            (run_id, (of[0], final_loss(of, held_out[run_id]))) for run_id, of in train.items()
        )
