"""What is chosen of the catalogue: it must be there, and is said in words."""

from collections.abc import Mapping
from typing import Annotated, TypeAlias, TypeVar

from pydantic import AfterValidator, Field

from muscope import catalogue
from muscope.catalogue.statistics import STATISTICS

Entry = TypeVar("Entry")


def known(kind: str, name: str, entries: Mapping[str, Entry]) -> Entry:
    """The entry of that name; ValueError with those that there are."""
    if name not in entries:
        of_plugin = "; no living worker has such a plugin" if "/" in name else ""
        raise ValueError(f"unknown {kind} {name!r}; allowed: {', '.join(entries)}{of_plugin}")
    return entries[name]


def titled(title: str, options: catalogue.Options, offered: tuple[catalogue.Option, ...]) -> str:
    """A title with what was chosen otherwise than by default: `GPT (biases)`."""
    chosen = catalogue.in_words(options, offered)
    return f"{title} ({chosen})" if chosen else title


def _known_statistics(names: tuple[str, ...]) -> tuple[str, ...]:
    full = tuple(sorted(known("statistic", name, STATISTICS).name for name in names))
    if len(set(full)) < len(full):
        raise ValueError("a statistic is there twice; each may be there once")
    return full


Statistics: TypeAlias = Annotated[tuple[str, ...], Field(max_length=4)]
"""Those of plugins, beside what a study records of itself."""
KnownStatistics: TypeAlias = Annotated[Statistics, AfterValidator(_known_statistics)]
