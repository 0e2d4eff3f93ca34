"""The one Jinja environment: pages and reports share its partials and filters."""

import json
from collections.abc import Mapping
from typing import Any

import jinja2
from markupsafe import Markup

from muscope import assets
from muscope.reports import formats

FILTERS = (
    formats.decimal,
    formats.duration,
    formats.exponent,
    formats.moment,
    formats.plural,
    formats.quantity,
    formats.sign,
    formats.size,
    formats.slope,
    formats.statistic_title,
    formats.words,
)


def environment() -> jinja2.Environment:
    """Escapes everything; a name that is missing from a context is an error, not a blank."""
    env = jinja2.Environment(
        loader=jinja2.FileSystemLoader(assets.frontend() / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update({function.__name__: function for function in FILTERS})
    env.filters["figure_json"] = figure_json
    return env


def figure_json(figure: Mapping[str, Any]) -> Markup:
    """JSON for a data block: `<` is escaped, so that no label can end the element."""
    return Markup(json.dumps(figure, allow_nan=False).replace("<", "\\u003c"))
