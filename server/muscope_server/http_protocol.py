"""uvicorn's h11 protocol with deadlines for whoever sends or reads slowly, and dressed refusals."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from muscope_server.limits import BODY_SECONDS, HEADER_SECONDS, STALLED_READER_SECONDS
from muscope_server.security import HEADERS


class DeadlineProtocol(H11Protocol):
    """Closes who sends a header byte by byte, who does not end a body that was refused, and who
    never reads what was asked for."""

    _header_deadline: asyncio.TimerHandle | None = None
    _body_deadline: asyncio.TimerHandle | None = None
    _reader_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Give the first request its deadline."""
        super().connection_made(transport)
        self._header_deadline = self.loop.call_later(HEADER_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadlines."""
        self._disarm_header()
        self._disarm_body()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Time the header of each request on a connection that is kept."""
        self._time_header()
        super().data_received(data)
        self._time_header()  # of a refused body the rest may have come: the next header is due
        self._disarm_what_came()

    def on_response_complete(self) -> None:
        """What was answered unread must still end; it is read over, but not for ever.

        A pipelined request may have begun already; uvicorn reads it in here.
        """
        super().on_response_complete()
        self._disarm_what_came()
        if self.conn.our_state is h11.DONE and self.conn.their_state is h11.SEND_BODY:
            self._body_deadline = self.loop.call_later(BODY_SECONDS, self.transport.abort)

    def pause_writing(self) -> None:
        """The reader does not keep up: it gets some time, and no more memory."""
        super().pause_writing()
        self._reader_deadline = self.loop.call_later(STALLED_READER_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """The reader has caught up."""
        if self._reader_deadline is not None:
            self._reader_deadline.cancel()
            self._reader_deadline = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP with the same header set as everything else."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.transport.abort()  # the answer is under way; there is no place for another
            return
        headers = [*HEADERS.items(), ("Cache-Control", "no-store"), ("Connection", "close")]
        body = b'{"error":{"code":"bad_request","message":"This is not valid HTTP.","fields":[]}}'
        length = ("Content-Length", str(len(body)))
        content = ("Content-Type", "application/json")
        start = h11.Response(status_code=400, headers=[*headers, content, length])
        for event in (start, h11.Data(data=body), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _time_header(self) -> None:
        if self.conn.their_state is h11.IDLE and self._header_deadline is None:
            self._header_deadline = self.loop.call_later(HEADER_SECONDS, self.transport.abort)

    def _disarm_what_came(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            self._disarm_header()
        if self.conn.their_state is not h11.SEND_BODY:
            self._disarm_body()

    def _disarm_body(self) -> None:
        if self._body_deadline is not None:
            self._body_deadline.cancel()
            self._body_deadline = None

    def _disarm_header(self) -> None:
        if self._header_deadline is not None:
            self._header_deadline.cancel()
            self._header_deadline = None
