"""Render a page: one template, one context dataclass, the URLs, and nothing else."""

from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse

from muscope import __version__
from muscope.reports import templating
from muscope_server import urls

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

GLOBALS: dict[str, Any] = {"urls": urls, "version": __version__}


def render(
    request: Request, name: str, context: "DataclassInstance", *, status: int = 200
) -> HTMLResponse:
    """The template `name` with the fields of `context` and the path that was asked for."""
    values = {field.name: getattr(context, field.name) for field in fields(context)}
    text = environment().get_template(name).render(**values, path=request.url.path)
    return HTMLResponse(text, status_code=status)


@cache
def environment() -> jinja2.Environment:
    """The environment that reports use too, with the application's URLs."""
    env = templating.environment()
    env.globals.update(GLOBALS)
    return env
