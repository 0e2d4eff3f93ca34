"""Workers: each says every few seconds that it is there and what it has."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Select, case, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from muscope.machine import Machine
from muscope.storage.database import now
from muscope.storage.events import moment
from muscope.storage.tables import worker

ALIVE_S = 30.0
"""A worker that was not heard of for so long is not counted on; its leases have expired too."""


@dataclass(frozen=True, slots=True)
class WorkerRow:
    """A worker as it describes itself; the times are the database's and absent before a beat.

    `machine` is what its device does in a second, once that was measured.
    """

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
    machine: Machine | None = None


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
    measured = row.machine.model_dump_json() if row.machine else None
    dialect = postgresql if conn.dialect.name == "postgresql" else sqlite
    new = dialect.insert(worker).values(
        id=row.id, started_at=now(), heartbeat_at=now(), machine_json=measured, **values
    )
    is_same = worker.c.pid == row.pid
    kept = func.coalesce(new.excluded.machine_json, worker.c.machine_json)
    changes = {
        **values,
        "started_at": case((is_same, worker.c.started_at), else_=now()),
        "heartbeat_at": now(),
        "machine_json": case((is_same, kept), else_=new.excluded.machine_json),
    }
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


def machines(conn: Connection, *, within_s: float) -> list[Machine]:
    """What the devices of living workers do in a second, of those that have measured it."""
    return [row.machine for row in alive(conn, within_s=within_s) if row.machine]


def machine(conn: Connection, worker_id: str) -> Machine | None:
    """What the device of one worker does in a second, if it was measured."""
    found = conn.execute(select(worker.c.machine_json).where(worker.c.id == worker_id)).scalar()
    return _machine(found)


def note_machine(conn: Connection, worker_id: str, machine: Machine) -> None:
    """Write what the device of a worker does in a second, and leave the rest of its row."""
    mine = update(worker).where(worker.c.id == worker_id)
    conn.execute(mine.values(machine_json=machine.model_dump_json()))


def on_host(conn: Connection, host: str, *, within_s: float) -> int:
    """How many living workers share the cores of a host."""
    return sum(row.host == host for row in alive(conn, within_s=within_s))


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
            machine=_machine(row.machine_json),
        )
        for row in conn.execute(query.order_by(worker.c.id))
    ]


def _machine(text: str | None) -> Machine | None:
    return Machine.model_validate_json(text) if text else None
