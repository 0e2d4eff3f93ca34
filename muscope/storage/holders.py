"""Whose rows a run has: its own, or those of the run that it reuses."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import ColumnElement, func

from muscope.storage.tables import run

Value: TypeAlias = str | int | float | None


@dataclass(frozen=True, slots=True)
class Source:
    """A run that was trained, and what a run that reuses it says of itself."""

    run_id: int
    values: Mapping[str, Value]


Sources: TypeAlias = Mapping[str, Source]
"""By the digest of the run's spec."""


def holder() -> ColumnElement[int]:
    """The id of the run under which the measurements and losses of a run are stored."""
    return func.coalesce(run.c.reuses, run.c.id)
