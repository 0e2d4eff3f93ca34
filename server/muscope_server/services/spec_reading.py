"""Bytes from anywhere become a spec, or a refusal that names each wrong field."""

from pydantic import ValidationError

from muscope.spec import StudySpec
from muscope_server import json_body
from muscope_server.services.submission import invalid


def read(body: bytes) -> StudySpec:
    """The spec in a JSON body: 400 when it is malformed, 422 when it asks for what cannot be."""
    try:
        return json_body.read(body, StudySpec)
    except ValidationError as error:
        raise invalid(json_body.faults(error)) from None
