"""Live events: however many watch a study, the database is asked once per tick."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from starlette.concurrency import run_in_threadpool

from muscope.storage import events, studies, verdicts
from muscope.storage.database import Database
from muscope.storage.events import EventRow
from muscope.vocabulary import StudyState
from muscope_server.errors import not_found, try_later
from muscope_server.limits import (
    STREAM_PING_SECONDS,
    STREAM_POLL_SECONDS,
    STREAM_SECONDS,
    STREAMS,
)

_REMEMBERED_EVENTS = 256
_END_POLL_SECONDS = 1.0
_ENDED = (StudyState.FINISHED, StudyState.FAILED, StudyState.CANCELLED)


class Sign(Enum):
    """What a stream says besides events."""

    ALIVE = auto()
    ENDED = auto()


Item: TypeAlias = tuple[str, EventRow] | Sign
"""An event with the id of its study, or a sign."""


@dataclass
class _Tail:
    """The last events of one study, for everyone who watches it."""

    events: deque[EventRow] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_EVENTS))
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    seq: int = 0
    asked_at: float = 0.0
    has_ended: bool = False
    end_asked_at: float = 0.0
    watchers: int = 0


class Streams:
    """All open event streams of this server."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tails: dict[str, _Tail] = {}
        self._open = 0
        self.is_stopping: Callable[[], bool] = lambda: False

    @contextmanager
    def slot(self) -> Iterator[None]:
        """One of the streams that may be open at a time; a 503 when there is none left."""
        if self._open >= STREAMS:
            message = f"{STREAMS} live views are open, no more are allowed; try again soon."
            raise try_later(503, "too_many_streams", message, seconds=10)
        self._open += 1
        try:
            yield
        finally:
            self._open -= 1

    async def watch(self, seen: Mapping[str, int]) -> AsyncIterator[Item]:
        """Events of studies after the numbers `seen`, until nothing can follow or time is up.

        Of each study in order, as they happen.
        """
        seqs = dict(seen)
        with ExitStack() as watching:
            tails = {
                one: watching.enter_context(self._watching(one, seq)) for one, seq in seqs.items()
            }
            quiet_since = time.monotonic()
            deadline = quiet_since + STREAM_SECONDS
            while time.monotonic() < deadline and not self.is_stopping():
                fresh = [
                    (one, event)
                    for one, tail in tails.items()
                    for event in await self._since(tail, one, seqs[one])
                ]
                for study_id, event in fresh:
                    seqs[study_id] = event.seq
                    yield study_id, event
                if not fresh and all(tail.has_ended for tail in tails.values()):
                    yield Sign.ENDED
                    return
                if fresh:
                    quiet_since = time.monotonic()
                elif time.monotonic() - quiet_since > STREAM_PING_SECONDS:
                    quiet_since = time.monotonic()
                    yield Sign.ALIVE
                await asyncio.sleep(STREAM_POLL_SECONDS)

    async def has_ended(self, seen: Mapping[str, int]) -> bool:
        """Whether nothing can follow the events `seen`; a 404 when there is no such study."""
        return await run_in_threadpool(self._has_ended, seen)

    def _has_ended(self, seen: Mapping[str, int]) -> bool:
        with self._database.read() as conn:
            rows = [studies.get(conn, study_id) for study_id in seen]
            if None in rows:
                raise not_found("study")
            for row in filter(None, rows):
                if row.state not in _ENDED or seen[row.id] < row.event_seq:
                    return False
            return seen.keys().isdisjoint(verdicts.unjudged(conn))

    @contextmanager
    def _watching(self, study_id: str, seq: int) -> Iterator[_Tail]:
        tail = self._tails.setdefault(study_id, _Tail(seq=seq))
        tail.watchers += 1
        try:
            yield tail
        finally:
            tail.watchers -= 1
            if not tail.watchers:
                self._tails.pop(study_id, None)

    async def _since(self, tail: _Tail, study_id: str, seq: int) -> list[EventRow]:
        async with tail.lock:
            if time.monotonic() - tail.asked_at >= STREAM_POLL_SECONDS / 2:
                await self._ask(tail, study_id)
        if seq >= tail.seq:
            return []
        if tail.events and tail.events[0].seq <= seq + 1:
            return [event for event in tail.events if event.seq > seq]
        return await run_in_threadpool(self._read, study_id, seq)

    async def _ask(self, tail: _Tail, study_id: str) -> None:
        fresh = await run_in_threadpool(self._read, study_id, tail.seq)
        tail.asked_at = time.monotonic()
        tail.events.extend(fresh)
        tail.seq = fresh[-1].seq if fresh else tail.seq
        if not fresh and tail.asked_at - tail.end_asked_at >= _END_POLL_SECONDS:
            tail.has_ended = await self.has_ended({study_id: tail.seq})
            tail.end_asked_at = time.monotonic()

    def _read(self, study_id: str, seq: int) -> list[EventRow]:
        with self._database.read() as conn:
            return events.since(conn, study_id, seq, limit=_REMEMBERED_EVENTS)
