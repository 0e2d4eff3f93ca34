"""How much is asked of the workers: what limits on submission are compared with."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from muscope.storage.database import clock
from muscope.storage.tables import run, study
from muscope.vocabulary import RunState

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Load:
    """Studies of the last hour, seconds until the oldest of them is an hour old, queued runs."""

    recent_studies: int
    relief_s: float
    queued_runs: int


def load(conn: Connection) -> Load:
    """What has been submitted and not been done."""
    now_s = clock(conn)
    created = study.c.created_at
    recent = select(func.count(), func.min(created)).where(created > now_s - HOUR_S)
    count, oldest = conn.execute(recent).one()
    queued = select(func.count()).select_from(run).where(run.c.state == RunState.QUEUED)
    return Load(
        recent_studies=count,
        relief_s=HOUR_S - (now_s - oldest) if oldest is not None else 0.0,
        queued_runs=conn.execute(queued).scalar_one(),
    )
