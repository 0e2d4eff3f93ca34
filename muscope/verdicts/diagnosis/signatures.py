"""Which exponents the healthy rule has, and which every fault would give: read off the rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from muscope.catalogue.rules import Size
from muscope.theory.faults.fault import Fault
from muscope.verdicts.diagnosis.numbers import Numbers, Question
from muscope.verdicts.diagnosis.sizes import Key, named_last, of_model
from muscope.verdicts.slopes import Floats
from muscope.vocabulary import Axis

STEPS = 2
"""Up to here sizes are worked out: behind a readout of zero the layers below move at step 2."""


@dataclass(frozen=True, slots=True)
class Along:
    """One axis of a study: the places on it, and what is held.

    `held` is the width of slopes on depth, the depth of slopes on width.
    """

    axis: Axis
    places: tuple[int, ...]
    held: int
    base_width: int
    base_depth: int

    def sizes(self) -> tuple[Size, ...]:
        """The model at every place."""
        return tuple(
            Size(place, self.held, self.base_width, self.base_depth)
            if self.axis is Axis.WIDTH
            else Size(self.held, place, self.base_width, self.base_depth)
            for place in self.places
        )


@lru_cache(maxsize=64)
def exponents(question: Question, faults: tuple[Fault, ...], along: Along) -> Mapping[Key, Floats]:
    """By tensor and step: the slope of the healthy rule, then that under every fault.

    nan where something is exactly zero, or has no size that is known. Variants of a study that
    differ in nothing that matters here share them.
    """
    logs = _logs(question, faults, along)
    x = np.log2(np.array(along.places, dtype=np.float64))
    x = x - x.mean()
    return {key: (values @ x) / (x @ x) for key, values in logs.items()}


def _logs(question: Question, faults: Sequence[Fault], along: Along) -> dict[Key, Floats]:
    """log2 of every size, (rules, places)."""
    shape = (len(faults) + 1, len(along.places))
    with np.errstate(divide="ignore", invalid="ignore"):
        if along.axis is Axis.WIDTH:
            found = of_model(Numbers(question, faults, along.sizes()), STEPS)
            logs = {key: np.log2(np.broadcast_to(size, shape)) for key, size in found.items()}
        else:
            logs = _joined(question, faults, along)
    return {key: np.where(np.isfinite(values), values, np.nan) for key, values in logs.items()}


def _joined(question: Question, faults: Sequence[Fault], along: Along) -> dict[Key, Floats]:
    """Models of several depths, of the tensors that all of them have: of blocks the last."""
    by_depth = [
        _with_last(of_model(Numbers(question, faults, [size]), STEPS), size.depth)
        for size in along.sizes()
    ]
    shared = [key for key in by_depth[0] if all(key in found for found in by_depth)]
    rows = len(faults) + 1
    return {
        key: np.log2(
            np.concatenate([np.broadcast_to(found[key], (rows, 1)) for found in by_depth], axis=1)
        )
        for key in shared
    }


def _with_last(found: Mapping[Key, Floats], depth: int) -> dict[Key, Floats]:
    named = {key: named_last(key[1], depth) for key in found}
    return {(key[0], name, *key[2:]): found[key] for key, name in named.items() if name is not None}
