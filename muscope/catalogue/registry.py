"""What can be chosen, by name: what muscope brings, and what plugins describe."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Entry = TypeVar("Entry")

VERSION = "@"
"""Between the name of a plugin's entry and the version of its package: `package/name@0.1.0`."""


class Registry(Mapping[str, Entry], Generic[Entry]):
    """Entries by name: those of muscope, and described ones by their full name with a version.

    A described entry that was once learned is found for as long as this process lives, so that
    what was made with it can be read. Of these only the *offered* ones are listed, and found
    without their version.
    """

    def __init__(self, built_in: Iterable[tuple[str, Entry]]) -> None:
        self._built_in = dict(built_in)
        self._described: dict[str, Entry] = {}
        self._offered: dict[str, str] = {}

    def __getitem__(self, name: str) -> Entry:
        if name in self._built_in:
            return self._built_in[name]
        return self._described[self._offered.get(name, name)]

    def __iter__(self) -> Iterator[str]:
        yield from self._built_in
        yield from self._offered.values()

    def __len__(self) -> int:
        return len(self._built_in) + len(self._offered)

    def __contains__(self, name: object) -> bool:
        known = name in self._built_in or name in self._described
        return known or name in self._offered

    def learn(self, name: str, entry: Entry) -> None:
        """Keep a described entry under its full name, in place of one that had it."""
        self._described = {**self._described, name: entry}

    def offer(self, names: Iterable[str]) -> None:
        """List these described entries, and no others."""
        found = sorted(name for name in names if name in self._described)
        self._offered = {name.partition(VERSION)[0]: name for name in found}

    def offered(self) -> tuple[str, ...]:
        """The full names of the described entries that are listed."""
        return tuple(self._offered.values())

    def full(self, name: str) -> str | None:
        """The full name of a described entry; None for what is built in, or not known."""
        full = self._offered.get(name, name)
        return full if full in self._described else None


@dataclass(frozen=True, slots=True)
class Described(Generic[Entry]):
    """The described entries of a registry for which something is so, as words of an option."""

    registry: Registry[Entry]
    is_so: Callable[[Entry], bool]

    def offered(self) -> tuple[str, ...]:
        """Those that can be chosen now."""
        names = self.registry.offered()
        return tuple(name for name in names if self.is_so(self.registry[name]))

    def full(self, word: str) -> str | None:
        """The full name of a word that is one of them, also of one that is offered no more."""
        name = self.registry.full(word)
        return name if name is not None and self.is_so(self.registry[name]) else None


def plain(name: str) -> str:
    """The name that a plugin gave its entry, without package and version; others as they are."""
    return name.rpartition("/")[2].partition(VERSION)[0]
