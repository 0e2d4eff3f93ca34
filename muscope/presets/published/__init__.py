"""Published figures, as their sources print them."""

import csv
from collections import defaultdict
from collections.abc import Mapping
from importlib import resources
from typing import TypeAlias

Losses: TypeAlias = Mapping[int, Mapping[float, float]]
"""Of every width, the loss at the binary logarithm of the learning rate."""


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
