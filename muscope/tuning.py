"""How a hyperparameter search goes about it: which sets it tries, as arithmetic on octaves.

A set is a learning rate and the multipliers of a parametrization, each in octaves from what the
study gives: 0 leaves it, 1 doubles it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Annotated, Literal, NamedTuple, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

RATE = "learning_rate"
"""The hyperparameter that every set has."""

Method: TypeAlias = Literal["independent", "pairwise", "random", "sobol", "halton"]
"""One after the other (Blake et al. 2024), two at a time, or all at once by a sampler."""
SAMPLED: tuple[Method, ...] = ("random", "sobol", "halton")

SPIKE_WINDOW = 32
"""Steps before one by which it is told whether its loss is a spike."""
FEWEST_RANKED = 5
"""Sets of which the agreement of two rankings has an interval."""

MOST_SAMPLES = 4_096
SMALLEST_SPACING = 1 / 16
"""Octaves: nearer values train to the same loss."""
FINEST = 64
"""A sampled value is a whole number of this part of an octave, 1 %: finer ones tell nothing."""

Reach = Annotated[float, Field(ge=-20, le=20, allow_inf_nan=False)]
Keep = Annotated[tuple[Annotated[int, Field(ge=1, le=MOST_SAMPLES)], ...], Field(max_length=63)]


class Point(NamedTuple):
    """A set in octaves: of the learning rate, and of every multiplier that is not left at 0."""

    octave: float = 0.0
    tuned: tuple[tuple[str, float], ...] = ()

    def at(self, name: str) -> float:
        """The octave of one hyperparameter."""
        return self.octave if name == RATE else dict(self.tuned).get(name, 0.0)

    def moved(self, name: str, octave: float) -> "Point":
        """The same set with one hyperparameter elsewhere."""
        if name == RATE:
            return self._replace(octave=octave)
        return point(self.octave, {**dict(self.tuned), name: octave})


def point(octave: float, tuned: Mapping[str, float]) -> Point:
    """A set; what is left where it was is not named, so that equal sets are equal."""
    return Point(octave + 0.0, tuple(sorted((name, at) for name, at in tuned.items() if at)))


class Tuning(BaseModel):
    """The rule of a search, and the most that it tries.

    `ranges` names multipliers of the study's parametrizations with the lowest and the highest
    octave of each; a variant has those of them that it knows. `samples` sets are drawn by a sampler
    that starts at `draw`; the other methods try the values `spacing` octaves apart. Every set is
    tried at the smallest width; `keep` says how many go on to each larger one.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    method: Method
    ranges: dict[str, tuple[Reach, Reach]] = Field(default_factory=dict, max_length=8)
    samples: Annotated[int, Field(ge=0, le=MOST_SAMPLES)] = 0
    draw: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    spacing: Annotated[float, Field(ge=SMALLEST_SPACING, le=8)] = 1.0
    keep: Keep

    @field_validator("ranges")
    @classmethod
    def _ascending(cls, ranges: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        for name, (low, high) in ranges.items():
            if not low < high:
                raise ValueError(
                    f"{name}: a range goes from its lowest octave to its highest, "
                    f"got [{low:g}, {high:g}]"
                )
        return dict(sorted(ranges.items()))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.is_sampled and self.samples < 1:
            raise ValueError(f"method {self.method!r} needs samples: how many sets to draw")
        if not self.is_sampled and self.samples:
            raise ValueError(
                f"samples are for the methods {', '.join(SAMPLED)}; {self.method!r} tries values "
                "spacing octaves apart"
            )
        if self.method == "sobol" and self.samples & (self.samples - 1):
            below = 1 << (self.samples.bit_length() - 1)
            raise ValueError(
                f"a Sobol sequence is even at powers of two only, got {self.samples} samples; take "
                f"{below} or {2 * below}, or method 'halton'"
            )
        for few, many in zip(self.keep[1:], self.keep, strict=False):
            if few > many:
                raise ValueError(
                    f"keep says how many sets go on to each larger width, got {many} and then "
                    f"{few}, more than there are"
                )
        return self

    def complaint(self, rates: Sequence[float], widths: Sequence[int]) -> str | None:
        """Why this rule does not fit the learning rates and widths of a study, or None."""
        fewest = 2 if self.is_sampled else 3
        if len(rates) < fewest:
            why = "a best learning rate is told by worse ones on both of its sides"
            if self.is_sampled:
                why = "learning rates are drawn between the first and the last"
            return (
                f"method {self.method!r} needs at least {fewest} octaves, got {len(rates)}: {why}"
            )
        if self.method == "pairwise" and 0.0 not in rates:
            return "method 'pairwise' leaves the learning rate at octave 0: add it to octaves"
        if len(self.keep) != len(widths) - 1:
            return (
                f"keep has length {len(self.keep)} for {len(widths)} widths; it says how many sets "
                "go on to each width after the smallest"
            )
        return None

    @property
    def is_sampled(self) -> bool:
        """Whether a sampler draws the sets."""
        return self.method in SAMPLED

    def values(self, name: str) -> tuple[float, ...]:
        """The octaves that are tried of one multiplier: multiples of the spacing, 0 always."""
        low, high = self.ranges[name]
        first, last = math.ceil(low / self.spacing), math.floor(high / self.spacing)
        return tuple(sorted({0.0, *(n * self.spacing + 0.0 for n in range(first, last + 1))}))

    def most(self, names: Sequence[str], rates: Sequence[float]) -> int:
        """How many sets are tried at the smallest width at most."""
        if self.is_sampled:
            return 1 + self.samples
        if self.method == "pairwise":
            return self._pair_count(names, rates)
        alone = sum(len(self.values(name)) - 1 for name in names)
        return len(rates) + alone + (len(names) > 1)

    def _pair_count(self, names: Sequence[str], rates: Sequence[float]) -> int:
        """How many sets `pairs` has: counted, for the limits are checked before any is made."""
        moved = [len(self.values(name)) - 1 for name in names]
        count = len(rates) * (1 + sum(moved)) + sum(map(math.prod, combinations(moved, 2)))
        if len(names) > 1 and 0.0 not in rates:
            count += 1 + sum(moved)
        return count

    def pairs(self, names: Sequence[str], rates: Sequence[float]) -> Iterator[Point]:
        """Every two hyperparameters at all of their values, the others left."""
        every = {RATE: tuple(rates)} | {name: self.values(name) for name in names}
        if len(every) == 1:
            yield from map(Point, rates)
        for one, other in combinations(every, 2):
            for here, there in product(every[one], every[other]):
                yield Point().moved(one, here).moved(other, there)
