"""The losses of runs that have ended, as a learning-rate study is judged and goes on by."""

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from muscope.storage import endings
from muscope.storage.tables import progress, run
from muscope.verdicts.transfer.losses import Trial, final_loss
from muscope.vocabulary import RunState

Losses: TypeAlias = tuple[float, float, float, float]
"""Of one run: the training loss before the first update, the loss that it is judged by, the mean of
its last training losses, and the last one."""

WITH_LOSSES = (RunState.FINISHED, RunState.SKIPPED)
"""What ended so has finite losses."""
RUNS_AT_ONCE = 500
"""A statement takes only so many parameters."""


def trials(conn: Connection, study_id: str, variants: Collection[str] | None = None) -> list[Trial]:
    """Every run of a study's sweep that has ended, or of some variants: with its loss, if any.

    What was stopped early is worse than the best one, by a rule: its loss counts as infinite.
    """
    ended = select(run).where(run.c.study_id == study_id, ~endings.OPEN_RUN, is_of_sweep())
    ended = ended if variants is None else ended.where(run.c.variant.in_(variants))
    rows = conn.execute(ended.order_by(run.c.ordinal)).all()
    whole = [row.reuses or row.id for row in rows if row.state in WITH_LOSSES]
    losses = dict(_losses(conn, whole))
    steps = dict(_steps(conn, [row.reuses or row.id for row in rows]))
    return [_trial(row, losses, steps) for row in rows]


def is_of_sweep() -> ColumnElement[bool]:
    """Whether a run records losses only; one that is older than that column may."""
    return or_(run.c.record.is_(None), run.c.record == "losses")


def _trial(
    row: Row[*tuple[object, ...]], losses: dict[int, Losses], steps: dict[int, int]
) -> Trial:
    is_bad = row.state in (RunState.DIVERGED, RunState.SKIPPED)
    holder = row.reuses or row.id
    first, last, train_loss, at_step = losses.get(holder, (None, None, None, None))
    asked = json.loads(row.spec_json)
    return Trial(
        variant=row.variant,
        width=row.width,
        depth=row.depth,
        octave=row.octave,
        seed=row.seed,
        loss=float("inf") if is_bad else last,
        start=first,
        train_loss=train_loss,
        batch_size=asked.get("batch_size"),
        sequence_length=asked.get("sequence_length"),
        steps=asked["steps"],
        stopped=row.state == RunState.SKIPPED,
        step=steps.get(holder),
        at_step=at_step,
        ended=RunState(row.state),
    )


def _steps(conn: Connection, run_ids: list[int]) -> Iterator[tuple[int, int]]:
    """By run: the last step of the attempt that counts."""
    for first in range(0, len(run_ids), RUNS_AT_ONCE):
        some = run_ids[first : first + RUNS_AT_ONCE]
        query = (
            select(progress.c.run_id, func.max(progress.c.step))
            .join(run, run.c.id == progress.c.run_id)
            .where(run.c.id.in_(some), progress.c.attempt_id == run.c.accepted_attempt)
            .group_by(progress.c.run_id)
        )
        yield from ((run_id, step) for run_id, step in conn.execute(query))


def _losses(conn: Connection, run_ids: Iterable[int]) -> Iterator[tuple[int, Losses]]:
    """By run; of all of these every loss is finite."""
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
            (run_id, (of[0], final_loss(of, held_out[run_id]), final_loss(of, None), of[-1]))
            for run_id, of in train.items()
        )
