"""The reaper: what a dead worker held goes back to the queue, what stayed queued is sent again.

Server and workers call it every few seconds; in parallel it is harmless, since every update is
guarded by what it saw.
"""

from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select, update

from muscope.storage import endings, workers
from muscope.storage.database import Database, now
from muscope.storage.endings import Execution
from muscope.storage.leases import lock_study
from muscope.storage.planting import RECORDER_QUEUE
from muscope.storage.tables import attempt, bundle, study, worker
from muscope.vocabulary import AttemptState, BundleState, StudyIntent

SENT_AT_ONCE = 64
"""Messages per round: any of them wakes a worker, and a broker must not fill up."""


def reap(db: Database, *, resend_s: float) -> list[int]:
    """Free what expired; give the ids of the bundles for which a message is due, marked as sent."""
    with db.read() as conn:
        expired = conn.execute(_expired()).all()
        due = conn.execute(_due(resend_s).limit(1)).first()
    for row in expired:
        with db.write() as conn:
            _free(conn, Execution(row.study_id, row.bundle_id, row.id))
    if not expired and due is None:
        return []
    with db.write() as conn:
        return _take_due(conn, resend_s)


def _expired() -> Select[int, int, str]:
    return (
        select(attempt.c.id, attempt.c.bundle_id, bundle.c.study_id)
        .join(bundle, bundle.c.id == attempt.c.bundle_id)
        .where(
            attempt.c.state == AttemptState.RUNNING,
            bundle.c.state == BundleState.RUNNING,
            bundle.c.lease_until <= now(),
        )
        .order_by(attempt.c.id)
    )


def _free(conn: Connection, execution: Execution) -> None:
    lock_study(conn, execution.study_id)
    still = _expired().where(attempt.c.id == execution.attempt_id)
    if conn.execute(still).first() is not None:
        reason = "its worker was not heard of before the lease ended"
        endings.lose(conn, execution, reason=reason, counts_as_loss=False)


def _due(resend_s: float) -> Select[int]:
    """Queued bundles without a message: never sent, or sent long ago while a worker idles.

    While every living worker is busy, more messages would only pile up in the broker.
    """
    sent_long_ago = and_(bundle.c.last_sent_at <= now() - resend_s, _a_worker_idles())
    return (
        select(bundle.c.id)
        .join(study, study.c.id == bundle.c.study_id)
        .where(
            bundle.c.state == BundleState.QUEUED,
            study.c.intent == StudyIntent.OPEN,
            or_(bundle.c.not_before.is_(None), bundle.c.not_before <= now()),
            or_(bundle.c.last_sent_at.is_(None), sent_long_ago),
        )
        .order_by(bundle.c.id)
        .limit(SENT_AT_ONCE)
    )


def _a_worker_idles() -> ColumnElement[bool]:
    living = select(func.count()).where(worker.c.heartbeat_at >= now() - workers.ALIVE_S)
    busy = (
        select(func.count())
        .select_from(attempt)
        .join(bundle, bundle.c.id == attempt.c.bundle_id)
        .where(attempt.c.state == AttemptState.RUNNING, bundle.c.queue != RECORDER_QUEUE)
    )
    return living.scalar_subquery() > busy.scalar_subquery()


def _take_due(conn: Connection, resend_s: float) -> list[int]:
    """Mark as sent what is due; of two reapers at once only one gets a bundle.

    What somebody else changes just now is left to them: who never waits is in no deadlock.
    """
    free = _due(resend_s).with_for_update(of=bundle, skip_locked=True)
    ids = list(conn.execute(free).scalars())
    again = or_(bundle.c.last_sent_at.is_(None), bundle.c.last_sent_at <= now() - resend_s)
    taken = conn.execute(
        update(bundle)
        .where(bundle.c.id.in_(ids), bundle.c.state == BundleState.QUEUED, again)
        .values(last_sent_at=now())
        .returning(bundle.c.id)
    )
    return sorted(taken.scalars())
