"""The one Jinja environment: pages and reports share its partials and filters."""

import json
import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Any

import jinja2
from markupsafe import Markup, escape

from muscope import assets
from muscope.reports import formats
from muscope.verdicts.transfer.words import noun
from muscope.vocabulary import kind_words

FILTERS = (
    formats.about,
    formats.decimal,
    formats.duration,
    formats.exponent,
    formats.moment,
    formats.plural,
    formats.quantity,
    formats.shortened,
    formats.sign,
    formats.size,
    formats.slope,
    formats.state_words,
    formats.statistic_title,
    formats.words,
    kind_words,
    noun,
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
    env.filters |= {"code": code, "share": share, "confidence": confidence}
    env.filters["figure_json"] = figure_json
    return env


def share(value: float | None) -> str:
    """A part in percent, on one line."""
    return unbroken(formats.share(value))


def confidence(value: float) -> str:
    """How sure an interval is, on one line."""
    return unbroken(formats.confidence(value))


def unbroken(text: str) -> str:
    """No line ends between a number and its percent sign."""
    return re.sub(r"(?<=\d) %", "\N{NO-BREAK SPACE}%", text)


def code(text: str) -> Markup:
    """A sentence in which what stands between backticks is shown as code."""
    pieces = unbroken(str(text)).split("`")
    marked = (Markup("<code>{}</code>").format(piece) for piece in pieces[1::2])
    plain = map(escape, pieces[0::2])
    return Markup("").join(
        piece for pair in zip_longest(plain, marked, fillvalue="") for piece in pair
    )


def figure_json(figure: Mapping[str, Any]) -> Markup:
    """JSON for a data block: `<` is escaped, so that no label can end the element."""
    return Markup(json.dumps(figure, allow_nan=False).replace("<", "\\u003c"))
