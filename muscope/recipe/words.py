"""What every export says on top: for whom it is, where its rate is from, what speaks against it."""

import textwrap
from collections.abc import Iterator

from muscope.recipe.types import Recipe

WIDTH = 96


def comment(recipe: Recipe, *more: str) -> str:
    """The heading of an export as comments, with what its format adds."""
    rows = [line for text in (*_said(recipe), *more) for line in _folded(text)]
    return "".join(f"# {row}".rstrip() + "\n" for row in rows)


def _said(recipe: Recipe) -> Iterator[str]:
    held = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in recipe.held.items())
    yield f"Recipe of muscope for {recipe.title}."
    yield ""
    yield f"Study: {recipe.study} ({recipe.label})."
    yield f"Base learning rate: {recipe.rate.sentence()}."
    yield f"Rules: {recipe.source}."
    yield f"Tuned with: {held}."
    for warning in recipe.warnings:
        yield f"WARNING: {warning}"


def _folded(text: str) -> Iterator[str]:
    """Lines of a text, the long ones broken; whatever a name holds, no line is left open."""
    for line in text.splitlines() or [""]:
        yield from textwrap.wrap(line, WIDTH) or [""]
