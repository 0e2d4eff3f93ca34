"""Statistics that plugins add: those of muscope itself are words of the vocabulary."""

from dataclasses import dataclass

from muscope.catalogue.registry import Registry
from muscope.vocabulary import TensorKind


@dataclass(frozen=True, slots=True)
class StatisticEntry:
    """A statistic of a plugin, and the kinds of tensors that it is measured of."""

    name: str
    title: str
    help: str
    of: tuple[TensorKind, ...]


STATISTICS: Registry[StatisticEntry] = Registry(())
"""None is built in."""
