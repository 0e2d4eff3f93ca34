"""Plugins in the process that trains, or that a user runs: found, imported, asked, held.

This is the one module that imports what an operator has installed. The server and the worker's
main process never import it.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import EntryPoint, distributions
from typing import Any

from muscope.plugins import PluginError, descriptions, entries, names
from muscope.plugins.descriptions import Described
from muscope.plugins.names import Name

GROUP = "muscope"
MOST = 200
"""Entries of all plugins together."""


@dataclass(frozen=True, slots=True)
class Found:
    """An entry point of the group: nothing is imported yet."""

    package: str
    version: str
    entry_point: EntryPoint

    @property
    def full_name(self) -> str:
        """Its full name, however wrong."""
        return f"{self.package}/{self.entry_point.name}@{self.version}"


@dataclass(frozen=True, slots=True)
class Installed:
    """What plugins of this environment describe, and a sentence for each that is left out."""

    described: tuple[Described, ...] = ()
    refused: tuple[str, ...] = ()


_held: dict[str, Any] = {}
_found: dict[str, Found] = {}


def find() -> list[Found]:
    """Every entry point of the group, of the first distribution of each name on the path."""
    found: list[Found] = []
    seen: set[str] = set()
    for distribution in distributions():
        package = names.of_package(distribution.metadata["Name"] or "")
        if package in seen:
            continue  # Python imports the first on the path too
        seen.add(package)
        version = distribution.version
        points = distribution.entry_points
        found += [Found(package, version, point) for point in points if point.group == GROUP]
    return sorted(found, key=lambda one: one.full_name)


def of_environment(found: Sequence[Found] | None = None) -> Installed:
    """Import every plugin and ask what it is; whoever raises is left out with a sentence.

    Two packages with an entry of one name and kind are both left out: nobody could say which.
    """
    found = find() if found is None else found
    described: list[Described] = []
    refused: list[str] = []
    for one in found[:MOST]:
        try:
            described.append(ask(one))
        except PluginError as error:
            refused.append(str(error))
    if len(found) > MOST:
        refused.append(f"{len(found)} entries of plugins are installed, at most {MOST} are read")
    kept, doubled = without_doubles(described)
    usable, wrong = _learnable(kept)
    return Installed(tuple(usable), (*refused, *doubled, *wrong))


def ask(found: Found) -> Described:
    """Import one plugin and read its description, or PluginError; it is held afterwards."""
    try:
        names.parse(found.full_name)
        plugin = found.entry_point.load()
        text = json.dumps(plugin.describe())
        description = descriptions.read(text)
    except (
        Exception,
        SystemExit,
    ) as error:  # whatever the operator's code raises is said, and survived
        raise PluginError(f"plugin {found.full_name} is left out: {_said(error)}") from error
    _held[found.full_name], _found[found.full_name] = plugin, found
    return Described(name=found.full_name, description=description)


def without_doubles(
    described: Iterable[Described],
) -> tuple[list[Described], list[str]]:
    """Without entries of one name and kind from two packages, each told with both packages."""
    described = list(described)
    of = [(one.description.kind, one.parts.plain) for one in described]
    doubled = {pair for pair, count in Counter(of).items() if count > 1}
    said = [
        f"{kind} {plain!r} is in two plugins, {' and '.join(_packages(described, kind, plain))}: "
        "neither is offered; rename one, or uninstall it"
        for kind, plain in sorted(doubled)
    ]
    kept = [one for one, pair in zip(described, of, strict=True) if pair not in doubled]
    return kept, said


def _packages(described: Iterable[Described], kind: str, plain: str) -> list[str]:
    return [
        one.parts.of_package
        for one in described
        if (one.description.kind, one.parts.plain) == (kind, plain)
    ]


def _learnable(described: Iterable[Described]) -> tuple[list[Described], list[str]]:
    """Those that can be entries of the catalogue; a model whose dataset is left out cannot."""
    # here, not above: a process that only knows descriptions learns them one by one too
    from muscope.plugins import known

    usable, wrong = [], []
    for one in sorted(described, key=lambda one: one.description.kind != "dataset"):
        try:
            known.learn((one,))
            entries.try_out(one)
        except ValueError as error:
            wrong.append(f"plugin {one.name} is left out: {error}")
        else:
            usable.append(one)
    return usable, wrong


def held(name: str) -> Any:
    """The object of an entry, imported now if it was not yet; PluginError where it cannot be."""
    if name not in _held:
        wanted = names.parse(name)
        point = next((one for one in find() if one.full_name == str(wanted)), None)
        if point is None:
            raise PluginError(f"{_called(wanted)} is not installed here")
        ask(point)
    return _held[name]


def _called(name: Name) -> str:
    return f"plugin {name.package}/{name.plain}, version {name.version},"


def made(name: str, make: Callable[[Any], Any]) -> Any:
    """What a plugin makes, or PluginError that names it."""
    plugin = held(name)
    try:
        return make(plugin)
    except Exception as error:
        if _is_control(error):
            raise
        raise failure(name, error) from error


def failure(name: str, error: BaseException) -> PluginError:
    """The error that a run ends with because of a plugin."""
    return PluginError(f"plugin {name} failed: {_said(error)}")


def _is_control(error: BaseException) -> bool:
    """What the engine itself understands: memory that ended, and what vmap cannot do."""
    return isinstance(error, PluginError | MemoryError) or (
        isinstance(error, RuntimeError)
        and ("vmap" in str(error) or "out of memory" in str(error).lower())
    )


def guarded(name: str, call: Callable[[], Any]) -> Any:
    """The result of a call into a plugin; what it raises says whose it is."""
    try:
        return call()
    except Exception as error:
        if _is_control(error) or _is_of_memory(error):
            raise
        raise failure(name, error) from error


def _is_of_memory(error: BaseException) -> bool:
    return type(error).__name__ == "OutOfMemoryError" or "alloc" in str(error)


def _said(error: BaseException) -> str:
    """In one line of bounded length, without control characters."""
    text = re.sub(r"\s+", " ", str(error)).strip()
    text = "".join(character for character in text if character.isprintable())[:300]
    kind = type(error).__name__
    return text if isinstance(error, ValueError) and text else f"{kind}: {text}" if text else kind
