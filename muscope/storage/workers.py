"""Workers: each says every few seconds that it is there and what it has."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, case, select, update
from sqlalchemy.dialects import postgresql, sqlite

from muscope.storage.database import now
from muscope.storage.events import moment
from muscope.storage.tables import worker


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as it describes itself; the times are the database's and absent before a beat."""

    id: str
    host: str
    pid: int
    device: str
    memory: int
    queues: str
    protocol: int
    versions: str
    plugins: str = ""
    started_at: datetime | None = None
    heartbeat_at: datetime | None = None


def beat(conn: Connection, row: WorkerRow) -> None:
    """Say that this worker is alive; another pid under the same id is a new start."""
    values = {
        "host": row.host,
        "pid": row.pid,
        "device": row.device,
        "memory": row.memory,
        "queues": row.queues,
        "plugins": row.plugins,
        "protocol": row.protocol,
        "versions": row.versions,
    }
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    new = dialect.insert(worker).values(id=row.id, started_at=now(), heartbeat_at=now(), **values)
    started_at = case((worker.c.pid == row.pid, worker.c.started_at), else_=now())
    changes = {**values, "started_at": started_at, "heartbeat_at": now()}
    conn.execute(new.on_conflict_do_update(index_elements=["id"], set_=changes))


def still_alive(conn: Connection, row: WorkerRow) -> bool:
    """Renew the heartbeat of a worker and leave the rest as it is; False where it has no row.

    Parent and training process both know a part of the row: this overwrites nothing.
    """
    mine = update(worker).where(worker.c.id == row.id, worker.c.pid == row.pid)
    renewed = conn.execute(mine.values(heartbeat_at=now()).returning(worker.c.id)).first()
    return renewed is not None


def alive(conn: Connection, *, within_s: float) -> list[WorkerRow]:
    """Workers that were heard of within the last seconds."""
    recent = select(worker).where(worker.c.heartbeat_at >= now() - within_s)
    return _rows(conn, recent)


def all_workers(conn: Connection) -> list[WorkerRow]:
    """Every worker that there ever was."""
    return _rows(conn, select(worker))


def _rows(conn: Connection, query: Select[*tuple[object, ...]]) -> list[WorkerRow]:
    return [
        WorkerRow(
            id=row.id,
            host=row.host,
            pid=row.pid,
            device=row.device,
            memory=row.memory,
            queues=row.queues,
            protocol=row.protocol,
            versions=row.versions,
            plugins=row.plugins,
            started_at=moment(row.started_at),
            heartbeat_at=moment(row.heartbeat_at),
        )
        for row in conn.execute(query.order_by(worker.c.id))
    ]
