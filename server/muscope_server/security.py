"""The gate that every request passes, in order, before the app sees it (reliability.md 3)."""

import logging
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from muscope_server import bodies, errors, hosts, origins, permissions
from muscope_server.errors import Refusal
from muscope_server.limits import TARGET_BYTES
from muscope_server.sessions import Sessions, send_to_login, wrong_token

logger = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "object-src 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


class _HeadAnswered(Exception):
    """A HEAD request has its answer; the body behind it is not wanted."""


class Gate:
    """ASGI middleware: refuses what must not reach the app, and dresses every answer."""

    def __init__(self, app: ASGIApp, *, allowed_hosts: frozenset[str], sessions: Sessions) -> None:
        self.app = app
        self.allowed_hosts = allowed_hosts
        self.sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] == "websocket":
            return await send({"type": "websocket.close", "code": 1008})
        answer = _Answer(scope, receive, send)
        try:
            await self._pass(scope, receive, answer)
        except (ClientDisconnect, _HeadAnswered):
            return None
        except Exception as exc:
            if answer.started:
                raise
            with suppress(ClientDisconnect, _HeadAnswered):
                await errors.response(scope, _as_refusal(exc))(scope, receive, answer)
        return None

    async def _pass(self, scope: Scope, receive: Receive, send: "_Answer") -> None:
        headers = Headers(scope=scope)
        hosts.check(headers, self.allowed_hosts)
        _check_protocol(scope, headers)
        _check_target(scope)
        origins.check_not_foreign(scope, headers)
        answered = self._admit(scope, headers)
        if answered is not None:
            return await answered(scope, receive, send)
        bodies.check(scope, headers)
        send.is_unread = False
        body = await bodies.read(receive, most=bodies.most(scope))
        inner = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        return await self.app(inner, bodies.replay(body, receive), send)

    def _admit(self, scope: Scope, headers: Headers) -> Response | None:
        """None for who may come in; else where to go instead."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        if permissions.is_public(method, scope["path"]):
            if scope["path"] == "/login":
                origins.check_proven(scope, headers)
                self._check_login(scope)
            return None
        if "authorization" in headers:
            if self.sessions.has_token(scope, headers):
                return None
            raise wrong_token()
        exchanged = self.sessions.exchange(scope, headers)
        if exchanged is not None:
            return exchanged
        if not self.sessions.has_cookie(headers):
            return send_to_login(scope)
        origins.check_proven(scope, headers)
        return None

    def _check_login(self, scope: Scope) -> None:
        """Who has to wait is told so before the body is read."""
        if scope["method"] not in origins.SAFE_METHODS:
            self.sessions.check_may_try(scope)


class _Answer:
    """`send` with the header set on every response, and without a body for HEAD.

    An answer to a request that `is_unread` may have to wait until that has come.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.started = False
        self.is_unread = True

    async def __call__(self, message: Message) -> None:
        if message["type"] != "http.response.start":
            return await self.send(message)
        if self.is_unread and bodies.is_awaited(self.scope, Headers(scope=self.scope)):
            await bodies.skip(self.receive)
        self.started = True
        self._dress(MutableHeaders(raw=message["headers"]))
        await self.send(message)
        if self.scope["method"] == "HEAD":
            await self.send({"type": "http.response.body", "body": b"", "more_body": False})
            raise _HeadAnswered
        return None

    def _dress(self, headers: MutableHeaders) -> None:
        for name, value in HEADERS.items():
            headers.append(name, value)
        is_static = self.scope["path"].startswith(f"{permissions.STATIC}/")
        if not is_static or "Cache-Control" not in headers:
            headers["Cache-Control"] = "no-store"


def _check_protocol(scope: Scope, headers: Headers) -> None:
    if "websocket" in headers.get("upgrade", "").lower():
        raise Refusal(400, "no_websocket", "There are no WebSockets here.")
    if scope["method"] == "OPTIONS":
        message = "OPTIONS is not answered: there is no CORS here."
        allow = {"Allow": "GET, HEAD, POST"}
        raise Refusal(405, "method_not_allowed", message, headers=allow)


def _check_target(scope: Scope) -> None:
    if len(scope["raw_path"]) + len(scope["query_string"]) > TARGET_BYTES:
        message = f"The address is longer than {TARGET_BYTES} characters."
        raise Refusal(414, "address_too_long", message)
    # No database stores the character zero in a text, so nothing can have such a name.
    if "\0" in scope["path"] or b"%00" in scope["query_string"]:
        raise Refusal(400, "zero_character", "An address cannot hold the character zero.")


def _as_refusal(exc: Exception) -> Refusal:
    if isinstance(exc, Refusal):
        return exc
    logger.error("a request failed in a way that nobody foresaw", exc_info=exc)
    return errors.unexpected()
