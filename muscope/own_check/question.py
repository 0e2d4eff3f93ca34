"""What is asked of a user's model, what is known of it before a step, and what a run gives."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from muscope.lab.own.data import Task
from muscope.lab.own.rule import OwnRule, Recipe
from muscope.lab.own_model import OwnFile, OwnModelError
from muscope.own_model import Built, OwnRole
from muscope.own_model.facts import pattern
from muscope.own_model.tensors import Activations
from muscope.records import Sample
from muscope.verdicts.own import OwnVariant

NOT_GIVEN = 0
"""The depth of samples where build was not given one."""


@dataclass(frozen=True, slots=True)
class OwnQuestion:
    """What is asked: which sizes of which model, how often, and by whose rule.

    `depths` is (None,) where build is given no depth. Without a `recipe` the model keeps what its
    own code makes of it. `given` turns names into corrected roles.
    """

    target: str
    file: OwnFile
    widths: tuple[int, ...]
    depths: tuple[int | None, ...] = (None,)
    seeds: int = 5
    steps: int = 4
    recipe: Recipe | None = None
    given: Callable[[Sequence[str], Sequence[str]], Mapping[str, str]] | None = None

    @property
    def name(self) -> str:
        """The target without its folders."""
        return self.target.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Failure:
    """A size that could not be judged, and why in a sentence."""

    width: int
    depth: int | None
    sentence: str
    error: OwnModelError


@dataclass(frozen=True, slots=True)
class Sized:
    """The model at one depth: at every width, with its roles, rules and activations."""

    depth: int | None
    built: Mapping[int, Built]
    roles: Mapping[str, OwnRole]
    rules: Mapping[int, Mapping[str, OwnRule]]
    activations: Activations


@dataclass(slots=True)
class Prepared:
    """All that is known before the first step; `failures` grow while it trains."""

    question: OwnQuestion
    task: Task
    sizes: tuple[Sized, ...]
    variant: OwnVariant
    seeds: int
    notes: list[str]
    failures: list[Failure] = field(default_factory=list)
    reshaped: dict[str, None] = field(default_factory=dict)

    @property
    def said(self) -> list[str]:
        """The notes, with what the training has shown."""
        if not self.reshaped:
            return self.notes
        names = ", ".join(dict.fromkeys(map(pattern, self.reshaped)))
        return [*self.notes, f"the shape depends on the data, so that it is not judged: {names}"]

    @property
    def runs(self) -> list[tuple[Sized, int, int]]:
        """(at which depth, width, seed), the narrow ones first."""
        return [
            (sized, width, seed)
            for sized in self.sizes
            for width, seed in product(sorted(sized.built), range(self.seeds))
        ]


@dataclass(frozen=True, slots=True)
class OwnArrival:
    """A run that is over, with what it measured; one that failed has nothing."""

    width: int
    depth: int
    seed: int
    samples: tuple[Sample, ...]
    losses: tuple[float, ...]

    @property
    def is_finite(self) -> bool:
        """Whether its last loss is a number."""
        return math.isfinite(self.losses[-1])
