"""What stands behind the question mark: known names, once each, and numbers as they are written."""

from typing import Annotated, TypeAlias

from fastapi import Request
from pydantic import BeforeValidator

from muscope_server.errors import FieldError, Refusal

_DIGITS = 10
"""Of 2 ** 31, beyond which no number is asked for."""


def refuse_unknown(request: Request) -> None:
    """A parameter that is not read would be believed to do something."""
    route = request.scope["route"]
    known = [field.alias for field in route.dependant.query_params]
    given = [name for name, _ in request.query_params.multi_items()]
    wrong = [name for name in given if name not in known or given.count(name) > 1]
    if wrong:
        allowed = ", ".join(known) or "none"
        message = f"unknown or repeated; allowed, once each: {allowed}"
        names = list(dict.fromkeys(name[:80] for name in wrong[:20]))
        fields = [FieldError(path=name, message=message) for name in names]
        said = f"{', '.join(names[:3])}: {message}."
        raise Refusal(422, "unknown_parameter", said, fields=fields)


def _as_written(value: object) -> object:
    """`64.0`, `6_4` and digits of other scripts are no whole numbers here, as in JSON."""
    if isinstance(value, str):
        digits = value.removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= _DIGITS):
            raise ValueError(f"must be a whole number, got {value[:40]!r}")
    return value


WholeNumber: TypeAlias = Annotated[int, BeforeValidator(_as_written)]
