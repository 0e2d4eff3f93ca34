"""JSON as strict as it can be read: one document, finite numbers, no key twice, not deep."""

import json
import math
from typing import NoReturn, TypeAlias, TypeVar

from fastapi import Request
from pydantic import BaseModel, ValidationError

from muscope.spec_file import explain
from muscope_server.errors import FieldError, Refusal
from muscope_server.limits import JSON_DEPTH, NUMBER_CHARACTERS

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

Model = TypeVar("Model", bound=BaseModel)

_REFUSED_KEYS = frozenset({"__proto__", "constructor", "prototype"})
_MOST_FAULTS = 100
_SHOWN_FAULTS = 20


def check_type(request: Request) -> None:
    """Refuse a body that does not say it is JSON; the gate has refused other types already."""
    if "content-type" not in request.headers:
        raise Refusal(415, "content_type", "The body must have Content-Type application/json.")


def parse(body: bytes) -> Json:
    """Parse one JSON document, or refuse it with a sentence that says why."""
    text = _decode(body)
    try:
        document: Json = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
    except RecursionError:
        raise _too_deep() from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise malformed(f"The body is not one JSON document: {error.msg} at {where}.") from None
    _check(document, JSON_DEPTH)
    return document


def read(body: bytes, model: type[Model]) -> Model:
    """The model in a JSON body: a refusal where it is malformed, ValidationError where it is wrong.

    It is validated as JSON again: only there a list is a tuple, while "64" and 64.0 are no whole
    numbers.
    """
    return model.model_validate_json(json.dumps(parse(body)))


def faults(error: ValidationError) -> list[FieldError]:
    """Each wrong field and why; of very many only how many, because nobody reads them."""
    if error.error_count() > _MOST_FAULTS:
        return [FieldError(path="", message=f"{error.error_count()} fields are wrong")]
    found = explain(error)[:_SHOWN_FAULTS]
    return [FieldError(path=path, message=message) for path, message in found]


def malformed(message: str) -> Refusal:
    """The refusal of bytes that are not the JSON we read."""
    return Refusal(400, "malformed_json", message)


def _decode(body: bytes) -> str:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("The body is not UTF-8.") from None
    if text.startswith("\N{BOM}"):
        raise malformed("The body starts with a byte order mark; send plain UTF-8.")
    return text


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result: dict[str, Json] = {}
    for key, value in pairs:
        if key in result:
            raise malformed(f"The key {key!r:.80} appears twice in one object.")
        if not _REFUSED_KEYS.isdisjoint(key.split(".")):
            raise malformed(f"The key {key!r:.80} is not allowed.")
        result[key] = value
    return result


def _integer(digits: str) -> int:
    if len(digits) > NUMBER_CHARACTERS:
        raise malformed(f"A number has more than {NUMBER_CHARACTERS} characters.")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if len(digits) > NUMBER_CHARACTERS or not math.isfinite(value):
        raise malformed(f"The number {digits:.40} is too large or too long.")
    return value


def _constant(name: str) -> NoReturn:
    raise malformed(f"{name} is not JSON; numbers must be finite.")


def _check(document: Json, depth: int) -> None:
    if depth == 0:
        raise _too_deep()
    if isinstance(document, str):
        _check_text(document)
    elif isinstance(document, list):
        for item in document:
            _check(item, depth - 1)
    elif isinstance(document, dict):
        for key, item in document.items():
            _check_text(key)
            _check(item, depth - 1)


def _check_text(text: str) -> None:
    if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
        raise malformed("A text holds half of a surrogate pair.")


def _too_deep() -> Refusal:
    return malformed(f"The body is nested more than {JSON_DEPTH} deep.")
