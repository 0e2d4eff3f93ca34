"""A muscope server over HTTP: one request, and what it means that it had no result."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from http.client import HTTPException
from typing import Any

from muscope.spec_file import sentence

TIMEOUT_S = 30.0

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LATER = (408, 429, 500, 502, 503, 504)


class ServerError(RuntimeError):
    """The server refused, or could not be reached; the message is for the user."""


class Unavailable(ServerError):
    """No answer, or none yet: the same may be sent again later. `wait_s` is when, if it said."""

    def __init__(self, message: str, wait_s: float = 0.0) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class Unreachable(Unavailable):
    """Nothing answers there that is a muscope; it may be there again in a moment."""


class Unauthorized(ServerError):
    """The token is not accepted: nothing can be sent with it."""


class Refused(ServerError):
    """The server has read what was sent and will not take it; `code` says why to machines."""

    def __init__(self, message: str, code: str = "") -> None:
        super().__init__(message)
        self.code = code


class Connection:
    """A server and the token for it."""

    def __init__(self, url: str, token: str) -> None:
        parts = _parts(url)
        if not (token.isascii() and token.isprintable()):
            raise ServerError(
                "the token must be printable ASCII; `muscope` prints it when it starts"
            )
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._token = token
        # A proxy of the environment would look for 127.0.0.1 on its own machine.
        direct = [urllib.request.ProxyHandler({})] if parts.hostname in _LOOPBACK else []
        self._opener = urllib.request.build_opener(_NoRedirect(), *direct)

    def call(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> dict[str, Any]:
        """One request; Unavailable, Unauthorized or Refused where it has no result."""
        request = urllib.request.Request(self.url + path, data=body, method=method)
        request.add_header("Authorization", f"Bearer {self._token}")
        request.add_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            request.add_header(name, value)
        try:
            with self._opener.open(request, timeout=timeout_s) as answer:
                content: dict[str, Any] = json.load(answer)
                return content
        except urllib.error.HTTPError as error:
            with error:
                raise _refusal(error.code, error.read(), error.headers.get("Retry-After")) from None
        except (OSError, HTTPException, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise Unreachable(f"no muscope answers at {self.url} ({reason})") from None


def _parts(url: str) -> urllib.parse.SplitResult:
    try:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0:
            return parts
    except ValueError:  # a port that is none, half of an IPv6 address
        pass
    raise ServerError(f"{url[:200]!r} is not the address of a server; say http://name:port")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """The API never redirects, and the token must not follow somebody else's."""

    def redirect_request(self, *args: Any) -> None:
        """Follow nothing."""


def _refusal(status: int, body: bytes, retry_after: str | None) -> ServerError:
    message = _sentence(status, body)
    if status in _LATER:
        seconds = retry_after or ""
        return Unavailable(message, float(seconds) if seconds.isdecimal() else 0.0)
    return Unauthorized(message) if status in (401, 403) else Refused(message, _code(body))


def _code(body: bytes) -> str:
    try:
        return str(json.loads(body)["error"]["code"])
    except (ValueError, KeyError, TypeError):
        return ""


def _sentence(status: int, body: bytes) -> str:
    try:
        error = json.loads(body)["error"]
        faults = [sentence(field["path"], field["message"]) for field in error["fields"]]
        return "\n".join(faults) or str(error["message"])
    except (ValueError, KeyError, TypeError):
        return f"the server answered with status {status}; is it a muscope?"
