"""What a worker holds while it executes a bundle, and the proof that it still holds it.

Every change of a bundle's state happens under the lock of its study's row, taken first: one order
of locks for everybody, so no deadlocks, and dense event numbers come for free.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, select

from muscope.spec import RunSpec
from muscope.storage.tables import bundle, study
from muscope.vocabulary import BundleState


class LeaseLost(RuntimeError):
    """The bundle is no longer this attempt's: stop the work and say nothing more."""


@dataclass(frozen=True, slots=True)
class Member:
    """One run of a bundle that is still to be executed."""

    run_id: int
    spec: RunSpec


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to execute a bundle: its runs that have not ended, and the token that proves it."""

    bundle_id: int
    study_id: str
    attempt_id: int
    attempt_no: int
    lease_token: str
    members: tuple[Member, ...]
    tensor_ids: dict[str, int]


def lock_study(conn: Connection, study_id: str) -> str | None:
    """Take the study's row until the end of the transaction; give its intent."""
    query = select(study.c.intent).where(study.c.id == study_id)
    return conn.execute(query.with_for_update(key_share=True)).scalar_one_or_none()


def held(claim: Claim) -> ColumnElement[bool]:
    """The condition on bundle that holds exactly while the claim does."""
    return and_(
        bundle.c.id == claim.bundle_id,
        bundle.c.attempt_no == claim.attempt_no,
        bundle.c.lease_token == claim.lease_token,
        bundle.c.state == BundleState.RUNNING,
    )


def prove(conn: Connection, claim: Claim) -> None:
    """Prove that the claim holds, until the end of the transaction, or raise LeaseLost."""
    lock_study(conn, claim.study_id)
    if conn.execute(select(bundle.c.id).where(held(claim))).first() is None:
        raise lease_lost(claim)


def lease_lost(claim: Claim) -> LeaseLost:
    """The error, with the names that a log needs."""
    return LeaseLost(
        f"attempt {claim.attempt_no} of bundle {claim.bundle_id} in study {claim.study_id} "
        "no longer holds its lease; nothing was written"
    )
