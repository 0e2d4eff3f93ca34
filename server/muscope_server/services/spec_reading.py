"""Bytes from anywhere become a spec, or a refusal that names each wrong field."""

import json

from pydantic import ValidationError

from muscope.spec import StudySpec
from muscope.spec_file import explain
from muscope_server import json_body
from muscope_server.errors import FieldError
from muscope_server.services.submission import invalid

_MOST_FAULTS = 100
_SHOWN_FAULTS = 20


def read(body: bytes) -> StudySpec:
    """The spec in a JSON body: 400 when it is malformed, 422 when it asks for what cannot be."""
    document = json_body.parse(body)
    try:
        # As JSON again: only there a list is a tuple, while "64" and 64.0 are no whole numbers.
        return StudySpec.model_validate_json(json.dumps(document))
    except ValidationError as error:
        raise invalid(_faults(error)) from None


def _faults(error: ValidationError) -> list[FieldError]:
    if error.error_count() > _MOST_FAULTS:
        return [FieldError(path="", message=f"{error.error_count()} fields are wrong")]
    found = explain(error)[:_SHOWN_FAULTS]
    return [FieldError(path=path, message=message) for path, message in found]
