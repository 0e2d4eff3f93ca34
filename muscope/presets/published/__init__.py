"""Published figures, as their sources print them."""

import csv
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TypeAlias

Curve: TypeAlias = Mapping[float, float]
"""The loss at the binary logarithm of the learning rate, in ascending order."""
Losses: TypeAlias = Mapping[int, Curve]
"""The curve of every width."""


@dataclass(frozen=True, slots=True)
class PublishedRates:
    """What a source prints of its learning rates: losses, or the one rate that is best.

    Where it names a `parametrization`, it is about that one alone.
    """

    title: str
    source: str
    losses: Losses
    rate: float | None = None
    parametrization: str = ""


def table(file: str) -> tuple[dict[str, str], ...]:
    """The rows of a file of this folder, everything as text."""
    text = (resources.files(__package__) / file).read_text(encoding="utf-8")
    return tuple(csv.DictReader(text.splitlines()))


def losses(file: str, row: str) -> Losses:
    """The losses of one row of a table of learning rates."""
    found: dict[int, dict[float, float]] = defaultdict(dict)
    for line in table(file):
        if line["ablation"] == row:
            found[int(line["width"])][float(line["log2_lr"])] = float(line["val_loss"])
    return found
