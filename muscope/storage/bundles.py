"""The queue: claim a bundle, keep its lease alive, let its execution end. One winner each time."""

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, func, insert, or_, select, update

from muscope import plan
from muscope.spec import RunSpec
from muscope.storage import endings
from muscope.storage.database import now
from muscope.storage.digest import RunDigest
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
from muscope.storage.measurements import tallies
from muscope.storage.tables import attempt, bundle, measurement, progress, run, study, tensor
from muscope.vocabulary import AttemptState, BundleState, RunState, StudyIntent

__all__ = [
    "Claim",
    "Incomplete",
    "LeaseLost",
    "LiveAttempt",
    "Member",
    "Outcome",
    "cancelled",
    "claim",
    "describe_attempt",
    "fail",
    "finish",
    "hand_back",
    "heartbeat",
    "live_attempts",
    "lost",
    "mark_sent",
    "queued_ids",
]


class Incomplete(RuntimeError):
    """What the database holds is not what the attempt says it wrote: success is not believed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker says of a run at its end; finish() counts after it."""

    run_id: int
    state: RunState
    row_count: int
    digest: str
    first_nonfinite_step: int | None = None
    first_nonfinite_tensor: str | None = None


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
    conn: Connection, *, worker_id: str, pid: int, code_version: str, lease_s: float
) -> Claim | None:
    """Take the oldest queued bundle of the open study that has the fewest running ones.

    The update is guarded: whoever loses the race for a bundle looks for another.
    """
    while (candidate := conn.execute(_next_bundle()).first()) is not None:
        lock_study(conn, candidate.study_id)
        token = secrets.token_hex(16)
        taken = conn.execute(
            update(bundle)
            .where(
                bundle.c.id == candidate.id,
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
        ).first()
        if taken is not None:
            values: dict[str, str | int] = {
                "worker_id": worker_id,
                "pid": pid,
                "code_version": code_version,
            }
            attempt_id = _begin_attempt(conn, candidate.id, taken.attempt_no, values)
            execution = Execution(candidate.study_id, candidate.id, attempt_id)
            return _claim(conn, execution, taken.attempt_no, token)
    return None


def describe_attempt(
    conn: Connection, claim: Claim, *, torch_version: str, device: str, data_digest: str
) -> None:
    """Record what executes the bundle, once the training process knows."""
    prove(conn, claim)
    conn.execute(
        update(attempt)
        .where(attempt.c.id == claim.attempt_id)
        .values(torch_version=torch_version, device=device, data_digest=data_digest)
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


def finish(conn: Connection, claim: Claim, outcomes: Sequence[Outcome]) -> None:
    """Let a bundle end with results, after counting every row of every run in the database."""
    prove(conn, claim)
    _check_complete(conn, claim, outcomes)
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


def cancelled(conn: Connection, claim: Claim) -> None:
    """The attempt has stopped because it was asked to; rows so far are kept."""
    prove(conn, claim)
    endings.end_attempt(conn, _execution(claim), AttemptState.CANCELLED)
    endings.cancel_bundle(conn, claim.study_id, claim.bundle_id)


def hand_back(conn: Connection, claim: Claim) -> None:
    """The worker stops gracefully: back to the queue, and nothing is counted."""
    prove(conn, claim)
    row = conn.execute(
        select(bundle.c.cancel_requested).where(bundle.c.id == claim.bundle_id)
    ).one()
    if row.cancel_requested:
        cancelled(conn, claim)
        return
    execution = _execution(claim)
    endings.end_attempt(conn, execution, AttemptState.SUPERSEDED, reason="handed back")
    endings.requeue(conn, execution)


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


def _open_studies() -> Select[str]:
    return select(study.c.id).where(study.c.intent == StudyIntent.OPEN)


def _next_bundle() -> Select[int, str]:
    running = (
        select(bundle.c.study_id, func.count().label("bundles"))
        .where(bundle.c.state == BundleState.RUNNING)
        .group_by(bundle.c.study_id)
        .subquery()
    )
    return (
        select(bundle.c.id, bundle.c.study_id)
        .outerjoin(running, running.c.study_id == bundle.c.study_id)
        .where(
            bundle.c.state == BundleState.QUEUED,
            bundle.c.study_id.in_(_open_studies()),
            or_(bundle.c.not_before.is_(None), bundle.c.not_before <= now()),
        )
        .order_by(func.coalesce(running.c.bundles, 0), bundle.c.id)
        .limit(1)
    )


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
    return {entry.name: ids[entry.name, entry.role.value] for entry in plan.activations(spec)}


def _execution(claim: Claim) -> Execution:
    return Execution(claim.study_id, claim.bundle_id, claim.attempt_id)


def _check_complete(conn: Connection, claim: Claim, outcomes: Sequence[Outcome]) -> None:
    members = {member.run_id: member.spec for member in claim.members}
    if sorted(outcome.run_id for outcome in outcomes) != sorted(members):
        raise Incomplete(
            f"bundle {claim.bundle_id} has the runs {sorted(members)}, "
            f"outcomes came for {sorted(outcome.run_id for outcome in outcomes)}"
        )
    counted = tallies(conn, claim.attempt_id, members)
    diverged = _runs_with_nonfinite(conn, claim.attempt_id, list(members))
    for outcome in outcomes:
        spec = members[outcome.run_id]
        _check_counted(outcome, spec, counted[outcome.run_id])
        _check_state(outcome, diverged=outcome.run_id in diverged)


def _check_counted(outcome: Outcome, spec: RunSpec, counted: RunDigest) -> None:
    planned = (spec.steps + 1) * len(plan.activations(spec))
    if not outcome.row_count == counted.count == planned:
        raise Incomplete(
            f"run {outcome.run_id}: the plan asks for {planned} measurements, the worker wrote "
            f"{outcome.row_count}, the database holds {counted.count}"
        )
    if outcome.digest != counted.hex():
        raise Incomplete(
            f"run {outcome.run_id}: the worker's digest is {outcome.digest}, "
            f"that of the rows in the database {counted.hex()}"
        )


def _check_state(outcome: Outcome, *, diverged: bool) -> None:
    expected = RunState.DIVERGED if diverged else RunState.FINISHED
    if outcome.state is not expected:
        raise Incomplete(
            f"run {outcome.run_id} was reported {outcome.state.value}, "
            f"its rows say {expected.value}"
        )


def _runs_with_nonfinite(conn: Connection, attempt_id: int, run_ids: list[int]) -> set[int]:
    found: set[int] = set()
    for table in (measurement, progress):
        query = (
            select(table.c.run_id)
            .distinct()
            .where(
                table.c.run_id.in_(run_ids),
                table.c.attempt_id == attempt_id,
                table.c.nonfinite != 0,
            )
        )
        found.update(conn.execute(query).scalars())
    return found
