"""A new attempt takes over what an earlier one recorded up to its checkpoint, and goes on there.

The rows keep their keys but for the attempt, step by step in fenced transactions: a row belongs to
one attempt at any moment. Whoever dies on the way leaves some rows with either; the next attempt
takes those of both.
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, and_, func, or_, select, update

from muscope.storage import events
from muscope.storage.database import now
from muscope.storage.digest import RunDigest
from muscope.storage.leases import Claim, prove
from muscope.storage.measurements import tallies
from muscope.storage.tables import attempt, bundle, measurement, plugin_measurement, progress
from muscope.vocabulary import BundleState

_ROWS = (measurement, plugin_measurement, progress)


@dataclass(frozen=True, slots=True)
class Earlier:
    """An attempt before this one, and the step of its checkpoint if it left one."""

    attempt_id: int
    attempt_no: int
    worker_id: str
    checkpoint_step: int | None


@dataclass(frozen=True, slots=True)
class Kept:
    """What there is of one run up to a step: its measurements, and how many losses."""

    digest: RunDigest
    losses: int


def latest(conn: Connection, claim: Claim) -> Earlier | None:
    """The attempt of this bundle before this one that left the latest checkpoint, else the last."""
    query = select(attempt).where(
        attempt.c.bundle_id == claim.bundle_id, attempt.c.attempt_no < claim.attempt_no
    )
    has_none = attempt.c.checkpoint_step.is_(None)
    row = conn.execute(query.order_by(has_none, attempt.c.attempt_no.desc()).limit(1)).first()
    if row is None:
        return None
    return Earlier(row.id, row.attempt_no, row.worker_id, row.checkpoint_step)


def kept(conn: Connection, claim: Claim, attempt_id: int, *, step: int) -> dict[int, Kept]:
    """What the database holds of each run up to a step of that attempt, wherever it is by now."""
    run_ids = [member.run_id for member in claim.members]
    others = _heirs(conn, claim, attempt_id)
    digests = tallies(conn, attempt_id, run_ids, also=others, until=step)
    query = (
        select(progress.c.run_id, func.count().label("losses"))
        .where(
            progress.c.run_id.in_(run_ids),
            progress.c.attempt_id.in_((attempt_id, *others)),
            progress.c.step <= step,
        )
        .group_by(progress.c.run_id)
    )
    losses = {row.run_id: row.losses for row in conn.execute(query)}
    return {run_id: Kept(digests[run_id], losses.get(run_id, 0)) for run_id in run_ids}


def begin(conn: Connection, claim: Claim, attempt_id: int, *, step: int, note: str) -> None:
    """From now on this attempt is one that goes on from a step of that one."""
    prove(conn, claim)
    values = {"resumed_from": attempt_id, "resumed_step": step, "resume_note": note}
    conn.execute(update(attempt).where(attempt.c.id == claim.attempt_id).values(values))


def take_over(conn: Connection, claim: Claim, attempt_id: int, *, steps: tuple[int, int]) -> None:
    """Make the rows of these steps, first and last, those of this attempt; again is no change."""
    prove(conn, claim)
    first, last = steps
    run_ids = [member.run_id for member in claim.members]
    holders = (attempt_id, *_heirs(conn, claim, attempt_id))
    for table in _ROWS:
        conn.execute(
            update(table)
            .where(
                table.c.run_id.in_(run_ids),
                table.c.attempt_id.in_(holders),
                table.c.step.between(first, last),
            )
            .values(attempt_id=claim.attempt_id)
        )
    behind = or_(attempt.c.last_step.is_(None), attempt.c.last_step < last)
    own = update(attempt).where(attempt.c.id == claim.attempt_id)
    conn.execute(own.where(behind).values(last_step=last))
    conn.execute(own.values(last_step_at=now()))
    data = {"bundle": claim.bundle_id, "step": last, "steps": claim.members[0].spec.steps}
    events.append(conn, claim.study_id, "step", data=data)


def explain(conn: Connection, claim: Claim, note: str) -> None:
    """Write why this attempt begins at the first step."""
    prove(conn, claim)
    row = update(attempt).where(attempt.c.id == claim.attempt_id)
    conn.execute(row.values(resume_note=note))


def left_checkpoint(conn: Connection, claim: Claim, *, step: int) -> None:
    """Write that another attempt could go on after this step."""
    prove(conn, claim)
    row = update(attempt).where(attempt.c.id == claim.attempt_id)
    conn.execute(row.values(checkpoint_step=step))


def going_on(conn: Connection, bundle_ids: Collection[int]) -> set[tuple[str, int]]:
    """Of these bundles those that have not ended, each with its study."""
    query = select(bundle.c.study_id, bundle.c.id).where(
        bundle.c.id.in_(bundle_ids), bundle.c.state.in_((BundleState.QUEUED, BundleState.RUNNING))
    )
    return {(row.study_id, row.id) for row in conn.execute(query)}


def _heirs(conn: Connection, claim: Claim, attempt_id: int) -> list[int]:
    """The attempts before this one that began to take over the rows of that one."""
    query = select(attempt.c.id).where(
        and_(attempt.c.bundle_id == claim.bundle_id, attempt.c.resumed_from == attempt_id),
        attempt.c.id != claim.attempt_id,
    )
    return list(conn.execute(query).scalars())
