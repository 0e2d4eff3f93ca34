"""What is heavy, few at once: downloads that hold a database connection, and figures."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Generator, Mapping
from contextlib import asynccontextmanager, closing
from typing import TypeAlias

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from muscope_server.errors import try_later
from muscope_server.limits import (
    DOWNLOAD_SECONDS,
    DOWNLOAD_WAIT_SECONDS,
    DOWNLOADS,
    FIGURE_WAIT_SECONDS,
    FIGURES,
)

log = logging.getLogger(__name__)

Chunks: TypeAlias = Generator[str, None, None]


class Places:
    """Room for so many at once of `what` is heavy; a further one waits `wait_s`."""

    def __init__(self, what: str, many: int, wait_s: float) -> None:
        self.what, self.many, self.wait_s = what, many, wait_s
        self._free = asyncio.Semaphore(many)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """One place for the block; refused when none becomes free soon."""
        try:
            async with asyncio.timeout(self.wait_s):
                await self._free.acquire()
        except TimeoutError:
            message = f"{self.many} {self.what} are under way, and no more at once; try again soon."
            raise try_later(503, f"too_many_{self.what}", message, seconds=20) from None
        try:
            yield
        finally:
            self._free.release()


def downloads() -> Places:
    """Room for downloads."""
    return Places("downloads", DOWNLOADS, DOWNLOAD_WAIT_SECONDS)


def figures() -> Places:
    """Room for figures."""
    return Places("figures", FIGURES, FIGURE_WAIT_SECONDS)


class Download(StreamingResponse):
    """Streams text in one of the places, and lets go of its source whatever happens."""

    def __init__(self, chunks: Chunks, places: Places, headers: Mapping[str, str]) -> None:
        self._source = _in_time(chunks)
        self._places = places
        super().__init__(self._source, headers=headers, media_type="text/csv; charset=utf-8")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send all of it, or refuse before the first byte."""
        async with self._places.one():
            try:
                await super().__call__(scope, receive, send)
            finally:
                await run_in_threadpool(self._source.close)


def _in_time(chunks: Chunks) -> Chunks:
    """The same, until the time is over: then the connection ends without the end of the body."""
    until = time.monotonic() + DOWNLOAD_SECONDS
    with closing(chunks):
        for chunk in chunks:
            if time.monotonic() > until:
                log.warning("a download took longer than %g s and was cut off", DOWNLOAD_SECONDS)
                raise ClientDisconnect
            yield chunk
