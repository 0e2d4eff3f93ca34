"""The way in: a token in a header, or in a link that is exchanged once for a cookie."""

import hashlib
import hmac
import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from math import ceil
from urllib.parse import parse_qsl, quote, unquote_plus, urlencode

from starlette.datastructures import Headers
from starlette.responses import RedirectResponse, Response
from starlette.types import Scope

from muscope_server import hosts
from muscope_server.errors import Refusal, try_later, wants_html
from muscope_server.limits import (
    COOKIE_SECONDS,
    FAILED_TOKENS,
    FAILED_TOKENS_SECONDS,
    NEXT_CHARACTERS,
    REMEMBERED_ADDRESSES,
)

_PATH_CHARACTERS = "/~!$&'()*+,;=:@"


class Failures:
    """Wrong tokens per address in the last minute; the oldest addresses are forgotten first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """How long this address must wait before its next try; 0 when it may try now."""
        times = self._times.get(address)
        if times is None or len(times) < FAILED_TOKENS:
            return 0.0
        return max(0.0, times[0] + FAILED_TOKENS_SECONDS - self._clock())

    def add(self, address: str) -> None:
        """Remember one more wrong token."""
        self._times.setdefault(address, deque(maxlen=FAILED_TOKENS)).append(self._clock())
        self._times.move_to_end(address)
        if len(self._times) > REMEMBERED_ADDRESSES:
            self._times.popitem(last=False)


class Sessions:
    """Tells visitors with the token or its cookie from others; compares in constant time.

    A cookie is keyed by a secret of 256 bits, so it cannot be guessed even where the operator
    chose a short token: it is honoured while wrong tokens from the same address are locked out.
    """

    def __init__(self, token: str, key: bytes, failures: Failures | None = None) -> None:
        self._token = token.encode()
        self._key = key
        self._failures = failures or Failures()

    def has_cookie(self, headers: Headers) -> bool:
        """Whether the request carries the cookie of this server at the port the browser sees."""
        port = hosts.port(headers)
        good = self._cookie(port).encode()
        pairs = (pair.strip().partition("=") for pair in headers.get("cookie", "").split(";"))
        return any(
            name == cookie_name(port) and hmac.compare_digest(value.encode(), good)
            for name, _, value in pairs
        )

    def has_token(self, scope: Scope, headers: Headers) -> bool:
        """Whether the request carries the token as a bearer; a wrong one is counted."""
        given = headers.getlist("authorization")
        if not given:
            return False
        scheme, _, token = given[0].partition(" ")
        return self.accepts(scope, token.strip() if scheme.lower() == "bearer" else "")

    def check_may_try(self, scope: Scope) -> None:
        """After too many wrong tokens an address has to wait, with the right one too.

        Were that let through, the wait would hold up nobody who guesses: the answer would tell.
        """
        wait_s = self._failures.wait_s(_address(scope))
        if wait_s:
            message = (
                "Too many wrong tokens came from this address; not even the right one is looked at "
                f"for {ceil(wait_s)} s. Who is logged in stays so."
            )
            raise try_later(429, "too_many_failures", message, seconds=wait_s + 1)

    def accepts(self, scope: Scope, token: str) -> bool:
        """Whether this is the token; a wrong one is counted."""
        self.check_may_try(scope)
        good = hmac.compare_digest(token.encode(errors="surrogatepass"), self._token)
        if not good:
            self._failures.add(_address(scope))
        return good

    def exchange(self, scope: Scope, headers: Headers) -> Response | None:
        """The redirect that turns `?token=` into a cookie; None when there is no such parameter."""
        tokens, rest = _split_query(scope["query_string"].decode("latin-1"))
        if not tokens or scope["method"] not in ("GET", "HEAD"):
            return None
        if not self.accepts(scope, tokens[0]):
            raise wrong_token()
        response = RedirectResponse(_local_url(scope["path"], rest), 303)
        self.remember(response, headers)
        return response

    def remember(self, response: Response, headers: Headers) -> None:
        """Let the visitor back in by cookie."""
        port = hosts.port(headers)
        response.set_cookie(
            cookie_name(port),
            self._cookie(port),
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="strict",
        )

    def _cookie(self, port: int) -> str:
        message = b"%d:%s" % (port, self._token)
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()


def cookie_name(port: int) -> str:
    """Browsers share cookies between ports, so the name carries the port."""
    return f"muscope_{port}"


def wrong_token() -> Refusal:
    """The refusal of a token that is not the right one."""
    message = "This is not the access token; `muscope` prints it when it starts."
    return Refusal(401, "wrong_token", message, headers={"WWW-Authenticate": "Bearer"})


def send_to_login(scope: Scope) -> Response:
    """What a visitor without credentials gets: the login page, or for the API a 401."""
    if scope["path"].startswith("/api/") or not wants_html(scope):
        message = "An access token is needed: send it as `Authorization: Bearer …`."
        headers = {"WWW-Authenticate": "Bearer"}
        raise Refusal(401, "not_authenticated", message, headers=headers)
    if scope["method"] not in ("GET", "HEAD") or scope["path"] == "/":
        return RedirectResponse("/login", 303)
    query = scope["query_string"].decode("latin-1")
    return RedirectResponse("/login?" + urlencode({"next": _local_url(scope["path"], query)}), 303)


def local_path(target: str) -> str:
    """Where to go after the login: a path of ours, else the home page."""
    plain = target.startswith("/") and not target.startswith("//") and "\\" not in target
    plain = plain and len(target) <= NEXT_CHARACTERS
    return target if plain and target.isascii() and target.isprintable() else "/"


def _local_url(path: str, query: str) -> str:
    """Never `//host`, whatever the path was: a redirect must not leave this server."""
    local = "/" + quote(path, safe=_PATH_CHARACTERS).lstrip("/")
    return f"{local}?{query}" if query else local


def _split_query(query: str) -> tuple[list[str], str]:
    pairs = [pair for pair in query.split("&") if pair]
    is_token = [unquote_plus(pair.partition("=")[0]) == "token" for pair in pairs]
    tokens = [
        value
        for pair, found in zip(pairs, is_token, strict=True)
        if found
        for _, value in parse_qsl(pair, keep_blank_values=True)
    ]
    return tokens, "&".join(p for p, found in zip(pairs, is_token, strict=True) if not found)


def _address(scope: Scope) -> str:
    """The client's address; of IPv6 the network, since one client has all of it.

    A dual-stack socket shows IPv4 clients as IPv6: each is an address of its own all the same.
    """
    host = str(scope["client"][0]) if scope.get("client") else "unknown"
    if ":" not in host:
        return host
    address = ipaddress.IPv6Address(host.partition("%")[0])
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
