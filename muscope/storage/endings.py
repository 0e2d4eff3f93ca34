"""How executions end, and what becomes of their bundle and its runs: the state machine's arrows.

Every function runs under the lock of the study's row. Terminal states never change: only runs
that have not ended are touched.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, Row, insert, select, update

from muscope.storage import events
from muscope.storage.database import now
from muscope.storage.events import NewEvent
from muscope.storage.measurements import tallies
from muscope.storage.planting import RECORDER_QUEUE
from muscope.storage.tables import attempt, bundle, run
from muscope.vocabulary import AttemptState, BundleState, RunState

MAX_LOSSES = 3
"""Deaths of the training process after which its run is poison."""
SPLIT_AFTER = 2
"""Deaths after which a bundle is split, so that only the guilty run fails."""
MAX_VANISHINGS = 10
"""Times that a worker may vanish or be suspended with one bundle."""
MAX_MEMORY_SPLITS = 3
"""Times that a bundle is split when memory runs out: twice in halves, then into single runs."""
LONGEST_BACK_OFF_S = 60.0

POISON = "E_POISON"
OUT_OF_MEMORY = "E_OUT_OF_MEMORY"
OPEN_RUN = run.c.state.in_((RunState.QUEUED, RunState.RUNNING))


@dataclass(frozen=True, slots=True)
class Execution:
    """An attempt with its bundle and study: what an ending is about."""

    study_id: str
    bundle_id: int
    attempt_id: int


@dataclass(frozen=True, slots=True)
class Reason:
    """Why runs ended: nothing to say, or a code and a sentence."""

    code: str | None = None
    text: str | None = None


def end_attempt(
    conn: Connection, execution: Execution, state: AttemptState, *, reason: str | None = None
) -> bool:
    """Let a live attempt end; False when it has ended already."""
    ended = conn.execute(
        update(attempt)
        .where(attempt.c.id == execution.attempt_id, attempt.c.state == AttemptState.RUNNING)
        .values(state=state, ended_at=now(), end_reason=reason)
        .returning(attempt.c.attempt_no, attempt.c.worker_id)
    ).first()
    if ended is None:
        return False
    data: dict[str, str | int | None] = {
        "bundle": execution.bundle_id,
        "attempt": ended.attempt_no,
        "worker": ended.worker_id,
        "state": state.value,
        "reason": reason,
    }
    events.append(conn, execution.study_id, "attempt_ended", data=data)
    return True


def end_bundle(
    conn: Connection,
    bundle_id: int,
    state: BundleState,
) -> None:
    """Let a bundle end and drop its lease."""
    values = {"state": state, "lease_token": None, "lease_until": None, "worker_id": None}
    conn.execute(update(bundle).where(bundle.c.id == bundle_id).values(values))


def requeue(conn: Connection, execution: Execution, *, back_off_s: float = 0.0) -> None:
    """Back to the queue: its runs wait again, and a new message is due."""
    values = {
        "state": BundleState.QUEUED,
        "lease_token": None,
        "lease_until": None,
        "worker_id": None,
        "last_sent_at": None,
    }
    conn.execute(
        update(bundle)
        .where(bundle.c.id == execution.bundle_id)
        .values(values)
        .values(not_before=now() + back_off_s if back_off_s else None)
    )
    move_runs(conn, execution.study_id, execution.bundle_id, RunState.QUEUED)


def move_runs(conn: Connection, study_id: str, bundle_id: int, state: RunState) -> None:
    """Move the open runs of a bundle to `queued` or `running`, one event each."""
    moving = open_runs(conn, bundle_id)
    ids = [row.id for row in moving]
    conn.execute(update(run).where(run.c.id.in_(ids)).values(state=state))
    events.append_all(conn, study_id, [_moved(row, state) for row in moving])


def end_runs(
    conn: Connection, study_id: str, bundle_id: int, state: RunState, reason: Reason
) -> None:
    """Let the open runs of a bundle end; the rows of its last attempt are kept and count."""
    ending = open_runs(conn, bundle_id)
    last = last_attempt(conn, bundle_id)
    kept = tallies(conn, last, [row.id for row in ending]) if last is not None else {}
    for row in ending:
        tally = kept.get(row.id)
        rows = tally.count if tally is not None else 0
        conn.execute(
            update(run)
            .where(run.c.id == row.id)
            .values(
                state=state,
                accepted_attempt=last if rows else None,
                row_count=rows,
                digest=tally.hex() if tally is not None and rows else None,
                error_code=reason.code,
                error_text=reason.text,
                ended_at=now(),
            )
        )
    events.append_all(conn, study_id, [_moved(row, state, reason.code) for row in ending])


def lose(conn: Connection, execution: Execution, *, reason: str, counts_as_loss: bool) -> None:
    """An attempt is gone: cancel if that was wished, give up if it is poison, else queue again."""
    requested = _row(conn, execution.bundle_id).cancel_requested
    state = AttemptState.CANCELLED if requested else AttemptState.LOST
    if not end_attempt(conn, execution, state, reason=reason):
        return
    if requested:
        cancel_bundle(conn, execution.study_id, execution.bundle_id)
        return
    row = _count(conn, execution.bundle_id, counts_as_loss=counts_as_loss)
    if row.losses >= MAX_LOSSES or row.vanishings >= MAX_VANISHINGS:
        _give_up(conn, execution, row)
        return
    requeue(conn, execution, back_off_s=_back_off_s(row.losses + row.vanishings))
    if counts_as_loss and row.losses == SPLIT_AFTER:
        split(conn, execution.bundle_id, most=1)


def run_out_of_memory(conn: Connection, execution: Execution, *, text: str) -> None:
    """Fewer runs are tried together, at last each alone; one that was alone ends with this text."""
    row = _row(conn, execution.bundle_id)
    end_attempt(conn, execution, AttemptState.FAILED, reason=text)
    number = len(open_runs(conn, execution.bundle_id))
    if number == 1:
        reason = Reason(OUT_OF_MEMORY, text)
        end_bundle(conn, execution.bundle_id, BundleState.FAILED)
        end_runs(conn, execution.study_id, execution.bundle_id, RunState.OUT_OF_MEMORY, reason)
        return
    splits = row.memory_splits + 1
    count = update(bundle).where(bundle.c.id == execution.bundle_id)
    conn.execute(count.values(memory_splits=splits))
    requeue(conn, execution)
    most = 1 if splits >= MAX_MEMORY_SPLITS else (number + 1) // 2
    pieces = split(conn, execution.bundle_id, most=most)
    _tell_of_split(conn, execution, pieces, text)


def set_apart(conn: Connection, execution: Execution, *, most: int, text: str) -> None:
    """So many runs stay with a running bundle, the others wait in bundles of at most as many."""
    pieces = split(conn, execution.bundle_id, most=most)
    for piece in pieces:
        move_runs(conn, execution.study_id, piece, RunState.QUEUED)
    _tell_of_split(conn, execution, pieces, text)


def split(conn: Connection, bundle_id: int, *, most: int) -> list[int]:
    """Only so many runs stay; the others get bundles of at most as many with the same history."""
    old, members = _row(conn, bundle_id), open_runs(conn, bundle_id)
    kept = (
        "study_id", "queue", "losses", "vanishings", "memory_splits", "not_before", "need_plugin",
        "protocol",
    )  # fmt: skip
    values = {name: getattr(old, name) for name in kept} | {"state": BundleState.QUEUED}
    pieces = []
    for first in range(most, len(members), most):
        ids = [row.id for row in members[first : first + most]]
        share = old.need_memory * len(ids) // len(members)
        new = insert(bundle).values(values | {"need_memory": share})
        pieces.append(conn.execute(new.returning(bundle.c.id)).scalar_one())
        conn.execute(update(run).where(run.c.id.in_(ids)).values(bundle_id=pieces[-1]))
    share = old.need_memory * min(most, len(members)) // len(members)
    conn.execute(update(bundle).where(bundle.c.id == bundle_id).values(need_memory=share))
    return pieces


def cancel_bundle(conn: Connection, study_id: str, bundle_id: int) -> None:
    """Let a bundle and its open runs end as cancelled."""
    end_bundle(conn, bundle_id, BundleState.CANCELLED)
    end_runs(conn, study_id, bundle_id, RunState.CANCELLED, Reason())


def cancel_recordings(conn: Connection, study_id: str) -> None:
    """End what is recorded elsewhere for a study; who records hears of it when it next sends."""
    query = (
        select(attempt.c.id, attempt.c.bundle_id)
        .join(bundle, bundle.c.id == attempt.c.bundle_id)
        .where(
            bundle.c.study_id == study_id,
            bundle.c.queue == RECORDER_QUEUE,
            attempt.c.state == AttemptState.RUNNING,
        )
    )
    for row in conn.execute(query.order_by(attempt.c.id)).all():
        execution = Execution(study_id, row.bundle_id, row.id)
        end_attempt(conn, execution, AttemptState.CANCELLED)
        cancel_bundle(conn, study_id, row.bundle_id)


def not_replaced(study_ids: Collection[str]) -> ColumnElement[bool]:
    """The runs of these studies that no later one has taken the place of.

    What is replaced is listed once: asked of each run by itself, that takes the square of them.
    """
    again = run.alias("again")
    replaced = select(again.c.rerun_of).where(
        again.c.study_id.in_(study_ids), again.c.rerun_of.is_not(None)
    )
    return run.c.id.not_in(replaced)


def open_runs(conn: Connection, bundle_id: int) -> Sequence[Row[int, str]]:
    """Id and state of the runs of a bundle that have not ended, in order."""
    query = select(run.c.id, run.c.state).where(run.c.bundle_id == bundle_id, OPEN_RUN)
    return conn.execute(query.order_by(run.c.ordinal)).all()


def last_attempt(conn: Connection, bundle_id: int) -> int | None:
    """The id of the latest attempt of a bundle."""
    query = select(attempt.c.id).where(attempt.c.bundle_id == bundle_id)
    return conn.execute(query.order_by(attempt.c.attempt_no.desc()).limit(1)).scalar()


def _moved(row: Row[int, str], state: RunState, code: str | None = None) -> NewEvent:
    data = None if code is None else {"code": code}
    return NewEvent("run_state", row.id, row.state, state, data)


def _count(conn: Connection, bundle_id: int, *, counts_as_loss: bool) -> Row[int, int]:
    column = bundle.c.losses if counts_as_loss else bundle.c.vanishings
    return conn.execute(
        update(bundle)
        .where(bundle.c.id == bundle_id)
        .values({column: column + 1})
        .returning(bundle.c.losses, bundle.c.vanishings)
    ).one()


def _back_off_s(ends: int) -> float:
    return min(LONGEST_BACK_OFF_S, float(2 ** (ends - 1)))


def _row(conn: Connection, bundle_id: int) -> Row[*tuple[object, ...]]:
    return conn.execute(select(bundle).where(bundle.c.id == bundle_id)).one()


def _give_up(conn: Connection, execution: Execution, row: Row[int, int]) -> None:
    if row.losses >= MAX_LOSSES:
        what = f"The process that trained this run died {row.losses} times"
    else:
        what = f"The worker of this run vanished {row.vanishings} times"
    ends = select(attempt).where(
        attempt.c.bundle_id == execution.bundle_id, attempt.c.state == AttemptState.LOST
    )
    history = "; ".join(
        f"attempt {end.attempt_no} on {end.worker_id}: {end.end_reason}"
        for end in conn.execute(ends.order_by(attempt.c.attempt_no))
    )
    text = f"{what}, so it is not tried again. Lately: {history}."
    end_bundle(conn, execution.bundle_id, BundleState.FAILED)
    end_runs(
        conn,
        execution.study_id,
        execution.bundle_id,
        RunState.FAILED,
        Reason(POISON, text),
    )


def _tell_of_split(
    conn: Connection, execution: Execution, pieces: Sequence[int], text: str
) -> None:
    if not pieces:  # it was split before, and the commit was not heard of
        return
    data: dict[str, str | int] = {
        "bundle": execution.bundle_id,
        "into": len(pieces) + 1,
        "reason": text,
    }
    events.append(conn, execution.study_id, "bundle_split", data=data)
