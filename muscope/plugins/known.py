"""What this process knows of plugins: descriptions, never the plugins themselves."""

import logging
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from muscope import catalogue
from muscope.catalogue.registry import Registry
from muscope.catalogue.statistics import STATISTICS
from muscope.plugins import entries, names
from muscope.plugins.descriptions import KINDS, Described

log = logging.getLogger(__name__)

_REGISTRIES: Mapping[str, Registry[Any]] = {
    "model": catalogue.MODELS,
    "parametrization": catalogue.PARAMETRIZATION_ENTRIES,
    "optimizer": catalogue.OPTIMIZERS,
    "dataset": catalogue.DATASETS,
    "statistic": STATISTICS,
}
_IN_ORDER = sorted(KINDS, key=lambda kind: kind != "dataset")
"""A model reads a dataset, which therefore comes first."""

_known: dict[str, Described] = {}
_lock = threading.Lock()


def learn(described: Iterable[Described]) -> None:
    """Take descriptions into the catalogue; ValueError where one cannot be an entry.

    What is known under a name is replaced by what is new.
    """
    found = sorted(described, key=lambda one: _IN_ORDER.index(one.description.kind))
    with _lock:
        for one in found:
            if one.name in _known and _known[one.name].key == one.key:
                continue
            _REGISTRIES[one.description.kind].learn(one.name, entries.entry(one))
            _known[one.name] = one


def offer(full_names: Iterable[str]) -> None:
    """List these entries in forms, help and refusals, and no other described ones."""
    wanted = [name for name in full_names if name in _known]
    for kind, registry in _REGISTRIES.items():
        registry.offer(name for name in wanted if _known[name].description.kind == kind)


def unknown(full_names: Iterable[str]) -> list[str]:
    """Those of these names that are not known yet."""
    return [name for name in full_names if name not in _known]


def get(name: str) -> Described | None:
    """The description that is known under a full name."""
    return _known.get(name)


def key(name: str) -> str:
    """The key of a known description; ValueError for an entry that nobody has described."""
    if name not in _known:
        raise ValueError(f"the plugin's entry {name!r} was never described here")
    return _known[name].key


def used(spec_json: str) -> tuple[str, ...]:
    """The full names of the entries that a study or run uses, in the order of the alphabet."""
    named = [name for name in names.named_in(spec_json) if name in _known]
    return tuple(sorted({*named, *(other for name in named for other in _known[name].depends)}))


def needed(spec_json: str) -> tuple[str, ...]:
    """Those that a worker must have: rules are arithmetic, which everybody can do."""
    return tuple(
        name for name in used(spec_json) if _known[name].description.kind != "parametrization"
    )
