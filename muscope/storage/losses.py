"""The losses of runs that have ended, as a learning-rate study is judged and goes on by."""

import json
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, Row, func, or_, select

from muscope.storage import endings
from muscope.storage.tables import progress, run
from muscope.verdicts.transfer.losses import Trial, last_steps
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
    steps = dict(_steps(conn, [row.reuses or row.id for row in rows]))
    whole = [row.reuses or row.id for row in rows if row.state in WITH_LOSSES]
    losses = dict(_losses(conn, {one: steps[one] for one in whole if one in steps}))
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


def _steps(conn: Connection, run_ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """By run: the last step of the attempt that counts; one look at the end of each curve."""
    last = (
        select(func.max(progress.c.step))
        .where(progress.c.run_id == run.c.id, progress.c.attempt_id == run.c.accepted_attempt)
        .correlate(run)
        .scalar_subquery()
    )
    for some in _parts(run_ids):
        for run_id, step in conn.execute(select(run.c.id, last).where(run.c.id.in_(some))):
            if step is not None:
                yield run_id, step


def _losses(conn: Connection, ends: Mapping[int, int]) -> Iterator[tuple[int, Losses]]:
    """By run, of those that end at these steps; of all of these every loss is finite.

    What lies between the first step and the last ones is not read: of a long run, nine tenths.
    """
    alike: dict[int, list[int]] = defaultdict(list)
    for run_id, end in ends.items():
        alike[end].append(run_id)
    for end, run_ids in alike.items():
        since = end - last_steps(end)
        for some in _parts(run_ids):
            yield from _read(conn, some, since)


def _read(conn: Connection, run_ids: Sequence[int], since: int) -> Iterator[tuple[int, Losses]]:
    """Of runs that are judged by what they lost after a step."""
    query = (
        select(progress.c.run_id, progress.c.step, progress.c.train_loss, progress.c.eval_loss)
        .join(run, run.c.id == progress.c.run_id)
        .where(
            run.c.id.in_(run_ids),
            progress.c.attempt_id == run.c.accepted_attempt,
            or_(progress.c.step == 0, progress.c.step > since),
        )
        .order_by(progress.c.run_id, progress.c.step)
    )
    first: dict[int, float] = {}
    last: dict[int, list[float]] = defaultdict(list)
    held_out: dict[int, float | None] = {}
    for run_id, step, train_loss, eval_loss in conn.execute(query):
        first.setdefault(run_id, train_loss)
        if step > since:
            last[run_id].append(train_loss)
            held_out[run_id] = eval_loss  # the last step has it
    for run_id, own in last.items():
        mean, evaluated = statistics.fmean(own), held_out[run_id]
        yield run_id, (first[run_id], mean if evaluated is None else evaluated, mean, own[-1])


def _parts(run_ids: Sequence[int]) -> Iterator[Sequence[int]]:
    """As many as a statement takes at a time."""
    for first in range(0, len(run_ids), RUNS_AT_ONCE):
        yield run_ids[first : first + RUNS_AT_ONCE]
