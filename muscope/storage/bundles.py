"""The queue: claim a bundle, keep its lease alive, let its execution end. One winner each time."""

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, func, insert, or_, select, update

from muscope import plan
from muscope.spec import RunSpec
from muscope.storage import endings, plugins
from muscope.storage.counting import Counted, Incomplete, Outcome, count
from muscope.storage.database import now
from muscope.storage.endings import Execution, Reason
from muscope.storage.events import NewEvent, append_all, moment
from muscope.storage.leases import (
    Claim,
    LeaseLost,
    Member,
    held,
    lease_lost,
    lock_study,
    prove,
)
from muscope.storage.tables import attempt, bundle, run, study, tensor
from muscope.vocabulary import AttemptState, BundleState, RunState, StudyIntent

__all__ = [
    "Claim",
    "Counted",
    "Incomplete",
    "LeaseLost",
    "LiveAttempt",
    "Member",
    "Outcome",
    "cancelled",
    "claim",
    "count",
    "describe_attempt",
    "fail",
    "finish",
    "hand_back",
    "heartbeat",
    "live_attempts",
    "lost",
    "mark_sent",
    "out_of_memory",
    "queued_ids",
    "set_apart",
]


@dataclass(frozen=True, slots=True)
class LiveAttempt:
    """An attempt that runs now; `idle_s` is the time since its last step, by the database."""

    attempt_id: int
    bundle_id: int
    pid: int
    started_at: datetime
    last_step_at: datetime | None
    cancel_requested: bool
    idle_s: float


def queued_ids(conn: Connection, study_id: str) -> list[int]:
    """The bundles of a study that wait for a worker."""
    query = select(bundle.c.id).where(
        bundle.c.study_id == study_id, bundle.c.state == BundleState.QUEUED
    )
    return list(conn.execute(query.order_by(bundle.c.id)).scalars())


def mark_sent(conn: Connection, ids: Iterable[int]) -> None:
    """Note that messages went out for these bundles."""
    conn.execute(update(bundle).where(bundle.c.id.in_(list(ids))).values(last_sent_at=now()))


def claim(
    conn: Connection,
    *,
    worker_id: str,
    pid: int,
    code_version: str,
    lease_s: float,
    have: Collection[str] = (),
) -> Claim | None:
    """Take the oldest queued bundle of the open study that has the fewest running ones.

    One that needs plugins is left to who has them: `have` are the keys of what they describe.
    The update is guarded: whoever loses the race for a bundle looks for another, and lets go of
    the study's lock before, since nobody may hold the locks of two.
    """
    usable = plugins.claimable(conn, have) if have else []
    while (candidate := conn.execute(_next_bundle(usable)).first()) is not None:
        race = conn.begin_nested()
        lock_study(conn, candidate.study_id)
        token = secrets.token_hex(16)
        attempt_no = _take(conn, candidate.id, worker_id=worker_id, token=token, lease_s=lease_s)
        if attempt_no is None:
            race.rollback()
            continue
        race.commit()
        values: dict[str, str | int] = {
            "worker_id": worker_id,
            "pid": pid,
            "code_version": plugins.code_version(code_version, candidate.need_plugin),
        }
        attempt_id = _begin_attempt(conn, candidate.id, attempt_no, values)
        execution = Execution(candidate.study_id, candidate.id, attempt_id)
        return _claim(conn, execution, attempt_no, token)
    return None


def describe_attempt(
    conn: Connection,
    claim: Claim,
    *,
    torch_version: str,
    device: str,
    data_digest: str,
    threads: int | None = None,
    matmul_precision: str | None = None,
) -> None:
    """Record what executes the bundle, once the training process knows."""
    prove(conn, claim)
    conn.execute(
        update(attempt)
        .where(attempt.c.id == claim.attempt_id)
        .values(
            torch_version=torch_version,
            device=device,
            data_digest=data_digest,
            threads=threads,
            matmul_precision=matmul_precision,
        )
    )


def heartbeat(conn: Connection, claim: Claim, *, lease_s: float, step: int | None) -> bool:
    """Renew the lease and say which step it is at; True when a cancel was requested."""
    renewed = conn.execute(
        update(bundle)
        .where(held(claim))
        .values(lease_until=now() + lease_s)
        .returning(bundle.c.cancel_requested)
    ).first()
    if renewed is None:
        raise lease_lost(claim)
    if step is not None:
        behind = or_(attempt.c.last_step.is_(None), attempt.c.last_step < step)
        conn.execute(
            update(attempt)
            .where(attempt.c.id == claim.attempt_id, behind)
            .values(last_step=step, last_step_at=now())
        )
    return bool(renewed.cancel_requested)


def finish(conn: Connection, claim: Claim, counted: Counted) -> None:
    """Let a bundle end with results, of which every row was counted in the database."""
    prove(conn, claim)
    assert counted.attempt_id == claim.attempt_id
    outcomes = counted.outcomes
    before = {row.id: row.state for row in endings.open_runs(conn, claim.bundle_id)}
    for outcome in outcomes:
        conn.execute(
            update(run)
            .where(run.c.id == outcome.run_id)
            .values(
                state=outcome.state,
                accepted_attempt=claim.attempt_id,
                row_count=outcome.row_count,
                digest=outcome.digest,
                first_nonfinite_step=outcome.first_nonfinite_step,
                first_nonfinite_tensor=outcome.first_nonfinite_tensor,
                error_text=outcome.note,
                ended_at=now(),
            )
        )
    ended = [NewEvent("run_state", o.run_id, before[o.run_id], o.state) for o in outcomes]
    append_all(conn, claim.study_id, ended)
    endings.end_attempt(conn, _execution(claim), AttemptState.FINISHED)
    endings.end_bundle(conn, claim.bundle_id, BundleState.FINISHED)


def fail(conn: Connection, claim: Claim, *, code: str, text: str) -> None:
    """A fault that would come again: the runs fail with a sentence, and keep their rows."""
    prove(conn, claim)
    endings.end_attempt(conn, _execution(claim), AttemptState.FAILED, reason=text)
    endings.end_bundle(conn, claim.bundle_id, BundleState.FAILED)
    endings.end_runs(conn, claim.study_id, claim.bundle_id, RunState.FAILED, Reason(code, text))


def out_of_memory(conn: Connection, claim: Claim, *, text: str) -> None:
    """Memory did not last: fewer runs are tried together, and a run that was alone ends."""
    prove(conn, claim)
    if _cancel_is_requested(conn, claim):
        cancelled(conn, claim)
        return
    endings.run_out_of_memory(conn, _execution(claim), text=text)


def set_apart(conn: Connection, claim: Claim, *, most: int, text: str) -> None:
    """Keep the first runs of a claimed bundle, so many; the others wait in bundles like that.

    A bundle that was cancelled meanwhile ends, and with it the claim.
    """
    prove(conn, claim)
    if _cancel_is_requested(conn, claim):
        cancelled(conn, claim)
        return
    endings.set_apart(conn, _execution(claim), most=most, text=text)


def cancelled(conn: Connection, claim: Claim) -> None:
    """The attempt has stopped because it was asked to; rows so far are kept."""
    prove(conn, claim)
    endings.end_attempt(conn, _execution(claim), AttemptState.CANCELLED)
    endings.cancel_bundle(conn, claim.study_id, claim.bundle_id)


def hand_back(
    conn: Connection, claim: Claim, *, reason: str = "handed back", back_off_s: float = 0.0
) -> None:
    """The worker stops, or cannot record: back to the queue, and nothing is counted."""
    prove(conn, claim)
    if _cancel_is_requested(conn, claim):
        cancelled(conn, claim)
        return
    execution = _execution(claim)
    endings.end_attempt(conn, execution, AttemptState.SUPERSEDED, reason=reason)
    endings.requeue(conn, execution, back_off_s=back_off_s)


def lost(conn: Connection, attempt_id: int, *, reason: str, counts_as_loss: bool) -> None:
    """The supervisor saw an attempt die (a loss) or vanish; nothing if it has ended already."""
    query = select(bundle.c.study_id, attempt.c.bundle_id).join_from(attempt, bundle)
    found = conn.execute(query.where(attempt.c.id == attempt_id)).first()
    if found is None:
        return
    lock_study(conn, found.study_id)
    execution = Execution(found.study_id, found.bundle_id, attempt_id)
    endings.lose(conn, execution, reason=reason, counts_as_loss=counts_as_loss)


def live_attempts(conn: Connection, worker_id: str) -> list[LiveAttempt]:
    """What a worker executes now, as the database knows it."""
    idle = now() - func.coalesce(attempt.c.last_step_at, attempt.c.started_at)
    query = (
        select(attempt, bundle.c.cancel_requested, idle.label("idle_s"))
        .join(bundle, bundle.c.id == attempt.c.bundle_id)
        .where(attempt.c.worker_id == worker_id, attempt.c.state == AttemptState.RUNNING)
        .order_by(attempt.c.id)
    )
    return [
        LiveAttempt(
            attempt_id=row.id,
            bundle_id=row.bundle_id,
            pid=row.pid,
            started_at=moment(row.started_at),
            last_step_at=None if row.last_step_at is None else moment(row.last_step_at),
            cancel_requested=bool(row.cancel_requested),
            idle_s=row.idle_s,
        )
        for row in conn.execute(query)
    ]


def _cancel_is_requested(conn: Connection, claim: Claim) -> bool:
    query = select(bundle.c.cancel_requested).where(bundle.c.id == claim.bundle_id)
    return bool(conn.execute(query).scalar_one())


def _open_studies() -> Select[str]:
    return select(study.c.id).where(study.c.intent == StudyIntent.OPEN)


def _next_bundle(usable: Sequence[str]) -> Select[int, str, str | None]:
    running = (
        select(bundle.c.study_id, func.count().label("bundles"))
        .where(bundle.c.state == BundleState.RUNNING)
        .group_by(bundle.c.study_id)
        .subquery()
    )
    return (
        select(bundle.c.id, bundle.c.study_id, bundle.c.need_plugin)
        .outerjoin(running, running.c.study_id == bundle.c.study_id)
        .where(
            bundle.c.state == BundleState.QUEUED,
            bundle.c.study_id.in_(_open_studies()),
            or_(bundle.c.need_plugin.is_(None), bundle.c.need_plugin.in_(usable)),
            or_(bundle.c.not_before.is_(None), bundle.c.not_before <= now()),
        )
        .order_by(func.coalesce(running.c.bundles, 0), bundle.c.id)
        .limit(1)
    )


def _take(
    conn: Connection, bundle_id: int, *, worker_id: str, token: str, lease_s: float
) -> int | None:
    """The number of the attempt that begins, or None when somebody else was faster."""
    return conn.execute(
        update(bundle)
        .where(
            bundle.c.id == bundle_id,
            bundle.c.state == BundleState.QUEUED,
            bundle.c.study_id.in_(_open_studies()),
        )
        .values(
            state=BundleState.RUNNING,
            attempt_no=bundle.c.attempt_no + 1,
            lease_token=token,
            lease_until=now() + lease_s,
            worker_id=worker_id,
            not_before=None,
        )
        .returning(bundle.c.attempt_no)
    ).scalar()


def _begin_attempt(
    conn: Connection, bundle_id: int, attempt_no: int, values: dict[str, str | int]
) -> int:
    new = insert(attempt).values(
        bundle_id=bundle_id,
        attempt_no=attempt_no,
        state=AttemptState.RUNNING,
        started_at=now(),
        **values,
    )
    return int(conn.execute(new.returning(attempt.c.id)).scalar_one())


def _claim(conn: Connection, execution: Execution, attempt_no: int, token: str) -> Claim:
    query = select(run.c.id, run.c.spec_json).where(
        run.c.bundle_id == execution.bundle_id, endings.OPEN_RUN
    )
    rows = conn.execute(query.order_by(run.c.ordinal)).all()
    plugins.teach(conn, *(row.spec_json for row in rows))
    members = tuple(Member(row.id, RunSpec.model_validate_json(row.spec_json)) for row in rows)
    endings.move_runs(conn, execution.study_id, execution.bundle_id, RunState.RUNNING)
    return Claim(
        bundle_id=execution.bundle_id,
        study_id=execution.study_id,
        attempt_id=execution.attempt_id,
        attempt_no=attempt_no,
        lease_token=token,
        members=members,
        tensor_ids=_tensor_ids(conn, execution.study_id, members[0].spec),
    )


def _tensor_ids(conn: Connection, study_id: str, spec: RunSpec) -> dict[str, int]:
    query = select(tensor.c.id, tensor.c.name, tensor.c.role).where(tensor.c.study_id == study_id)
    ids = {(row.name, row.role): row.id for row in conn.execute(query)}
    return {entry.name: ids[entry.name, entry.role.value] for entry in plan.tensors(spec)}


def _execution(claim: Claim) -> Execution:
    return Execution(claim.study_id, claim.bundle_id, claim.attempt_id)
