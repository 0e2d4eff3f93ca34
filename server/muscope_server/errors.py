"""One shape for every refusal: JSON for the API, a small page for people."""

import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import BaseModel
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolExhaustedError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import Scope

from muscope import spec_file
from muscope.storage import disk
from muscope.storage.disk import DiskFull
from muscope_server import templates
from muscope_server.contexts import ErrorContext

logger = logging.getLogger(__name__)

HOST_NOT_ALLOWED = "host_not_allowed"
LONGEST_MESSAGE = 600


class FieldError(BaseModel):
    """What is wrong with one field of what was sent: `arms.0.model.batch_size` and a sentence."""

    path: str
    message: str


def in_words(fields: Sequence[FieldError]) -> str:
    """The first few in one sentence; the fields themselves name all of them."""
    return "; ".join(spec_file.sentence(field.path, field.message) for field in fields[:3])


class Refusal(Exception):
    """A request is refused: a status, a code for machines, and a sentence a user can act on."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        fields: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.fields = tuple(fields)
        self.headers = dict(headers or {})


def not_found(what: str = "page") -> Refusal:
    """The refusal for something that is not there, without repeating what was asked for."""
    return Refusal(404, "not_found", f"There is no such {what}.")


def try_later(status: int, code: str, message: str, *, seconds: float) -> Refusal:
    """A refusal that says when to come back."""
    return Refusal(status, code, message, headers={"Retry-After": str(max(1, round(seconds)))})


def unexpected() -> Refusal:
    """What a user sees of an error that nobody foresaw; the log has the rest."""
    return Refusal(
        500, "internal_error", "Something went wrong on the server; its log says what. Try again."
    )


def response(scope: Scope, refusal: Refusal) -> Response:
    """The answer that carries a refusal, in the form that the asker reads."""
    if refusal.code == HOST_NOT_ALLOWED and wants_html(scope):
        # under such a name the page's own styles are refused too
        return PlainTextResponse(refusal.message, refusal.status)
    if wants_html(scope):
        return _page(scope, refusal)
    error = {
        "code": refusal.code,
        "message": _plain(refusal.message),
        "fields": [
            {"path": _plain(field.path), "message": _plain(field.message)}
            for field in refusal.fields
        ],
    }
    return JSONResponse({"error": error}, refusal.status, headers=refusal.headers)


def wants_html(scope: Scope) -> bool:
    """Whether a person is asking: a page's path, and an Accept header that allows HTML."""
    if scope["path"] == "/api" or scope["path"].startswith("/api/"):
        return False
    accept = Headers(scope=scope).get("accept", "*/*")
    return "text/html" in accept or "application/json" not in accept


def install(app: FastAPI) -> None:
    """Register the handlers, so that no answer has another shape."""
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)
    app.add_exception_handler(DiskFull, _disk_full)
    for kind in (OperationalError, InterfaceError, PoolExhaustedError):
        app.add_exception_handler(kind, _database_away)


async def _refused(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, Refusal)
    return response(request.scope, exc)


async def _http_error(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    if exc.status_code == 404:
        return response(request.scope, not_found())
    phrase = HTTPStatus(exc.status_code).phrase
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    refusal = Refusal(exc.status_code, code, f"{phrase}.", headers=exc.headers)
    return response(request.scope, refusal)


async def _invalid_parameters(request: Request, exc: Exception) -> Response:
    assert isinstance(exc, RequestValidationError)
    paths = (".".join(map(str, one["loc"][1:])) or "body" for one in exc.errors())
    messages = map(spec_file.message, exc.errors())
    found = zip(paths, messages, strict=True)
    fields = [FieldError(path=path, message=message) for path, message in found]
    refusal = Refusal(422, "invalid", f"{in_words(fields)}.", fields=fields)
    return response(request.scope, refusal)


async def _disk_full(request: Request, exc: Exception) -> Response:
    logger.error("%s", exc)
    refusal = try_later(503, disk.CODE.lower(), str(exc), seconds=30)
    return response(request.scope, refusal)


async def _database_away(request: Request, exc: Exception) -> Response:
    logger.error("the database did not do what was asked", exc_info=exc)
    message = "The database cannot answer just now; the server's log says why. Try again soon."
    return response(request.scope, try_later(503, "database_unavailable", message, seconds=5))


def _plain(text: str) -> str:
    """Text that may hold what a stranger sent: shortened, and always encodable."""
    shown = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return shown if len(shown) <= LONGEST_MESSAGE else shown[: LONGEST_MESSAGE - 1] + "…"


def _page(scope: Scope, refusal: Refusal) -> Response:
    # Without what was asked for: an odd path or Host must not break the page that refuses it.
    request = Request({**scope, "path": "/", "headers": [], "query_string": b""})
    title = HTTPStatus(refusal.status).phrase
    context = ErrorContext(refusal.status, title, _plain(refusal.message))
    page = templates.render(request, "error.html", context, status=refusal.status)
    page.headers.update(refusal.headers)
    return page
