"""The live event stream of a study: dense numbers, resumable, and it says when it is over."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, cast

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.types import Receive, Scope, Send

from muscope.storage.events import EventRow
from muscope_server.deps import StudyIdDep
from muscope_server.services.streams import Item, Sign, Streams

router = APIRouter(prefix="/api/v1")

_RECONNECT_MS = 1_000
_Position = Annotated[int, Query(ge=0, le=2**31 - 1)]


class _Stream(EventSourceResponse):
    """A stream that holds one of the server's slots exactly as long as it is open."""

    def __init__(self, streams: Streams, content: AsyncIterator[bytes]) -> None:
        # X-Accel-Buffering: nginx would otherwise hold events back.
        super().__init__(content, headers={"X-Accel-Buffering": "no"})
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream while a slot is free; refuse before the first byte when none is."""
        with self._streams.slot():
            await super().__call__(scope, receive, send)


@router.get(
    "/studies/{study_id}/events",
    response_model=None,
    responses={200: {"content": {"text/event-stream": {}}}, 204: {"description": "It has ended"}},
)
async def events(
    request: Request,
    study_id: StudyIdDep,
    after: _Position = 0,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**31 - 1)] = None,
) -> Response:
    """Server-sent events after `Last-Event-ID` (else after `?after=`), each once and in order.

    When nothing can follow any more, an event named `end` is sent; asked again from there, the
    answer is 204, which tells a browser not to reconnect.
    """
    streams = cast(Streams, request.app.state.streams)
    seq = after if last_event_id is None else last_event_id
    if await streams.has_ended(study_id, seq) and seq > 0:
        return Response(status_code=204)
    return _Stream(streams, _frames(streams, study_id, seq))


async def _frames(streams: Streams, study_id: str, seq: int) -> AsyncIterator[bytes]:
    yield format_sse_event(retry=_RECONNECT_MS)
    async for item in streams.watch(study_id, seq):
        yield _frame(item)


def _frame(item: Item) -> bytes:
    if item is Sign.ALIVE:
        return KEEPALIVE_COMMENT
    if item is Sign.ENDED:
        return format_sse_event(event="end", data_str="{}")
    return format_sse_event(data_str=json.dumps(_payload(item)), id=str(item.seq))


def _payload(event: EventRow) -> dict[str, object]:
    return {
        "seq": event.seq,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "run_id": event.run_id,
        "from_state": event.from_state,
        "to_state": event.to_state,
        "data": event.data,
    }
