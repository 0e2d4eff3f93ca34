"""What happened to a study, in dense numbers: a reader that has seen n has missed nothing below."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from sqlalchemy import Connection, insert, select, update

from muscope.storage.database import clock
from muscope.storage.tables import event, study

Data: TypeAlias = Mapping[str, str | int | float | bool | None]


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event of a study as readers see it."""

    seq: int
    at: datetime
    run_id: int | None
    kind: str
    from_state: str | None
    to_state: str | None
    data: dict[str, str | int | float | bool | None] | None


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event before it has a number."""

    kind: str
    run_id: int | None = None
    from_state: str | None = None
    to_state: str | None = None
    data: Data | None = None


def append(
    conn: Connection,
    study_id: str,
    kind: str,
    *,
    run_id: int | None = None,
    from_state: str | None = None,
    to_state: str | None = None,
    data: Data | None = None,
) -> int:
    """Add one event in the writing transaction; give its number."""
    return append_all(conn, study_id, [NewEvent(kind, run_id, from_state, to_state, data)])


def append_all(conn: Connection, study_id: str, new: Sequence[NewEvent]) -> int:
    """Add events with consecutive numbers; give the last one.

    The number is taken from the study's row, whose lock is held until the commit: numbers are
    dense, and none becomes visible after a later one.
    """
    taken = update(study).where(study.c.id == study_id)
    last = conn.execute(
        taken.values(event_seq=study.c.event_seq + len(new)).returning(study.c.event_seq)
    ).scalar_one()
    if new:
        first, at = last - len(new) + 1, clock(conn)
        rows = [_row(study_id, seq, at, entry) for seq, entry in enumerate(new, first)]
        conn.execute(insert(event), rows)
    return int(last)


def since(conn: Connection, study_id: str, seq: int, *, limit: int = 256) -> list[EventRow]:
    """The events after number `seq`, in order."""
    query = (
        select(event)
        .where(event.c.study_id == study_id, event.c.seq > seq)
        .order_by(event.c.seq)
        .limit(limit)
    )
    return [
        EventRow(
            seq=row.seq,
            at=moment(row.at),
            run_id=row.run_id,
            kind=row.kind,
            from_state=row.from_state,
            to_state=row.to_state,
            data=None if row.data_json is None else json.loads(row.data_json),
        )
        for row in conn.execute(query)
    ]


def moment(seconds: float) -> datetime:
    """A time of the database as an aware datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def _row(study_id: str, seq: int, at: float, entry: NewEvent) -> dict[str, object]:
    return {
        "study_id": study_id,
        "seq": seq,
        "at": at,
        "run_id": entry.run_id,
        "kind": entry.kind,
        "from_state": entry.from_state,
        "to_state": entry.to_state,
        "data_json": None if entry.data is None else json.dumps(dict(entry.data), allow_nan=False),
    }
