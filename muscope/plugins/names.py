"""How an entry of a plugin is called: `package/name@version`, which no built-in name can be."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from muscope.catalogue.registry import VERSION

PACKAGE = r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?"
PLAIN = r"[a-z][a-z0-9_]{0,23}"
RELEASE = r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,31}"
_FULL = re.compile(rf"({PACKAGE})/({PLAIN}){VERSION}({RELEASE})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Name:
    """The name of an entry, in parts: the distribution that brings it, its own, the version."""

    package: str
    plain: str
    version: str

    def __str__(self) -> str:
        return f"{self.package}/{self.plain}{VERSION}{self.version}"

    @property
    def of_package(self) -> str:
        """The package with its version, as a person says it."""
        return f"{self.package} {self.version}"


def parse(text: str) -> Name:
    """The parts of a full name, or ValueError with the sentence what is wrong with it."""
    found = _FULL.fullmatch(text)
    if found is None:
        raise ValueError(
            f"{text!r:.160} is no name of a plugin's entry: allowed is package/name@version, the "
            "package in at most 40 letters, digits and '-', the name in at most 24 lower-case "
            "letters, digits and '_', the version in at most 32 characters"
        )
    return Name(*found.groups())


def of_package(distribution: str) -> str:
    """A distribution's name as packages are compared: lower case, runs of -, _ and . as one -."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def named_in(spec_json: str) -> frozenset[str]:
    """The full names of entries that a study's or run's spec chooses; titles are not looked at."""
    if VERSION not in spec_json:
        return frozenset()
    data = json.loads(spec_json)
    found = _chosen(data) if isinstance(data, dict) else iter(())
    return frozenset(name for name in found if isinstance(name, str) and _FULL.fullmatch(name))


def _chosen(data: dict[str, Any]) -> Iterator[object]:
    """What stands where an entry is named: in a study's lists, or in a run's variant."""
    yield from data.get("statistics", ())
    variant = data.get("variant")
    parts = [*data.get("arms", ()), *([variant] if isinstance(variant, dict) else ())]
    choices = [*data.get("parametrizations", ())]
    for part in parts:
        choices += [part.get("model"), part.get("optimizer"), part.get("parametrization")]
        choices += part.get("optimizers", ())
    for choice in choices:
        if isinstance(choice, dict):
            yield choice.get("name")
            yield choice.get("options", {}).get("dataset")
