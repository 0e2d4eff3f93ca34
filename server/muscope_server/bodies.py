"""What a request may carry: small, in time, of a type we read, and not compressed."""

import asyncio

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from muscope_server import permissions
from muscope_server.errors import Refusal
from muscope_server.limits import (
    BODY_BYTES,
    BODY_SECONDS,
    DRAINED_BODY_BYTES,
    RECORDING_BODY_BYTES,
    STRANGER_BODY_BYTES,
)
from muscope_server.origins import SAFE_METHODS

RECORDINGS = "/api/v1/recordings/"
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_CHARSETS = ("", "charset=utf-8", 'charset="utf-8"')


def check(scope: Scope, headers: Headers) -> None:
    """Refuse a body by its header alone, before a byte of it is read."""
    length = declared_length(headers)
    if length > most(scope):
        raise _too_large(length, most(scope))
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise Refusal(415, "content_encoding", "Compressed bodies are not read; send it plain.")
    has_body = length > 0 or "transfer-encoding" in headers
    if scope["method"] not in SAFE_METHODS and (has_body or "content-type" in headers):
        _check_type(scope, headers)


def declared_length(headers: Headers) -> int:
    """What Content-Length says, 0 without one."""
    lengths = set(headers.getlist("content-length"))
    if len(lengths) > 1 or not all(value.isascii() and value.isdecimal() for value in lengths):
        raise Refusal(400, "content_length", "Content-Length must be one whole number.")
    return min(int(lengths.pop()[:20]), 2**63) if lengths else 0


def most(scope: Scope) -> int:
    """How many bytes this request may carry: where no token is needed, hardly any."""
    is_public = permissions.is_public(scope["method"], scope["path"])
    if is_public:
        return STRANGER_BODY_BYTES
    return RECORDING_BODY_BYTES if scope["path"].startswith(RECORDINGS) else BODY_BYTES


async def read(receive: Receive, *, most: int) -> bytes:
    """The whole body, or a refusal when it grows too large or takes too long.

    What is too large is read to its end, as far as it is worth it, so that the refusal is seen.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while True:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body += message.get("body", b"")
                if len(body) > most:
                    is_whole = not message.get("more_body", False) or await skip(receive)
                    raise _too_large(len(body), most, close=not is_whole)
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError:
        sentence = f"The body did not arrive within {BODY_SECONDS:g} s."
        raise Refusal(408, "body_too_slow", sentence, headers={"Connection": "close"}) from None


def is_awaited(scope: Scope, headers: Headers) -> bool:
    """Whether an answer would be lost unless the body is read before it.

    Who asks for the connection to be closed sees it reset while the body is still on its way. A
    body that comes only after a `100 Continue` is not on its way.
    """
    closes = scope["http_version"] == "1.0" or "close" in headers.get("connection", "").lower()
    if not closes or "expect" in headers:
        return False
    length = headers.get("content-length", "0")
    is_sent = "transfer-encoding" in headers or (length.isdecimal() and length != "0")
    return is_sent and len(length) < 20 and int(length) <= DRAINED_BODY_BYTES


async def skip(receive: Receive) -> bool:
    """Read over the rest of a body; False where there is too much of it, or it takes too long."""
    left = DRAINED_BODY_BYTES
    try:
        async with asyncio.timeout(BODY_SECONDS):
            while left > 0:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                left -= len(message.get("body", b""))
                if not message.get("more_body", False):
                    return True
    except TimeoutError:
        pass
    return False


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, then what comes after it."""
    sent = False

    async def replayed() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _check_type(scope: Scope, headers: Headers) -> None:
    wanted = _JSON if scope["path"].startswith("/api/") else _FORM
    given = headers.getlist("content-type")
    media_type, _, parameters = given[0].lower().partition(";") if given else ("", "", "")
    if len(given) == 1 and media_type.strip() == wanted and parameters.strip() in _CHARSETS:
        return
    message = f"The body must have Content-Type {wanted}, in UTF-8."
    raise Refusal(415, "content_type", message)


def _too_large(size: int, most: int, *, close: bool = False) -> Refusal:
    headers = {"Connection": "close"} if close or size > DRAINED_BODY_BYTES else {}
    message = f"The body has {size} bytes, at most {most} are read."
    return Refusal(413, "body_too_large", message, headers=headers)
