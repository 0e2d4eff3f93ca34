"""The live event streams: dense numbers, resumable, and they say when they are over."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Any, cast

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import Response
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.types import Receive, Scope, Send

from muscope.storage.events import EventRow
from muscope_server.deps import StudyIdDep, get_study_id
from muscope_server.errors import Refusal
from muscope_server.limits import COMPARED
from muscope_server.services.streams import Sign, Streams

router = APIRouter(prefix="/api/v1")

_RECONNECT_MS = 1_000
_LAST = 2**31 - 1
_Position = Annotated[int, Query(ge=0, le=_LAST)]
_POSITIONS = r"[0-9]{1,10}(,[0-9]{1,10})*"
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/event-stream": {}}}, 204: {"description": "It has ended"}
}  # fmt: skip


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


@router.get("/studies/{study_id}/events", response_model=None, responses=_STREAM)
async def events(
    request: Request,
    study_id: StudyIdDep,
    after: _Position = 0,
    last_event_id: Annotated[int | None, Header(ge=0, le=_LAST)] = None,
) -> Response:
    """Server-sent events after `Last-Event-ID` (else after `?after=`), each once and in order.

    When nothing can follow any more, an event named `end` is sent; asked again from there, the
    answer is 204, which tells a browser not to reconnect.
    """
    seq = after if last_event_id is None else last_event_id
    return await _answer(request, {study_id: seq}, is_return=seq > 0)


@router.get("/compare/events", response_model=None, responses=_STREAM)
async def events_of_several(
    request: Request,
    study: Annotated[list[str], Query(min_length=1, max_length=COMPARED)],
    after: Annotated[str, Query(max_length=100, pattern=f"^({_POSITIONS})?$")] = "",
    last_event_id: Annotated[str, Header(max_length=100, pattern=f"^({_POSITIONS})?$")] = "",
) -> Response:
    """The events of several studies in one stream; each says its `study`.

    An id, and `?after=`, is the number of every study, in their order: `12,40`. Else it is as the
    stream of one study.
    """
    ids = list(dict.fromkeys(map(get_study_id, study)))
    position = last_event_id or after
    seqs = [int(number) for number in position.split(",")] if position else [0] * len(ids)
    if len(seqs) != len(ids) or max(seqs) > _LAST:
        message = f"{position!r} is no position in {len(ids)} studies: say a number for each."
        raise Refusal(422, "bad_position", message)
    return await _answer(request, dict(zip(ids, seqs, strict=True)), is_return=bool(position))


async def _answer(request: Request, seen: Mapping[str, int], *, is_return: bool) -> Response:
    streams = cast(Streams, request.app.state.streams)
    if await streams.has_ended(seen) and is_return:
        return Response(status_code=204)
    return _Stream(streams, _frames(streams, seen))


async def _frames(streams: Streams, seen: Mapping[str, int]) -> AsyncIterator[bytes]:
    yield format_sse_event(retry=_RECONNECT_MS)
    position = dict(seen)
    async for item in streams.watch(seen):
        if item is Sign.ALIVE:
            yield KEEPALIVE_COMMENT
        elif item is Sign.ENDED:
            yield format_sse_event(event="end", data_str="{}")
        else:
            study_id, event = item
            position[study_id] = event.seq
            data = json.dumps(_payload(study_id, event))
            yield format_sse_event(data_str=data, id=",".join(map(str, position.values())))


def _payload(study_id: str, event: EventRow) -> dict[str, object]:
    return {
        "study": study_id,
        "seq": event.seq,
        "at": event.at.isoformat(),
        "kind": event.kind,
        "run_id": event.run_id,
        "from_state": event.from_state,
        "to_state": event.to_state,
        "data": event.data,
    }
