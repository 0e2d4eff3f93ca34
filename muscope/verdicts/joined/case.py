"""What reasons are looked for in: a variant, its study, and what both parts have given."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from muscope import catalogue
from muscope.catalogue import OptimizerEntry, OptionValue, WeightEntry
from muscope.catalogue.rules import Size, dimensions, weight_rules
from muscope.spec import StudySpec, Variant
from muscope.theory.rule import WeightDims, WeightRule
from muscope.verdicts.transfer.places import FIELDS
from muscope.verdicts.transfer.types import Drift, TransferJudgement, WidthOptimum
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import Axis


@dataclass(frozen=True)
class Case:
    """One variant of a learning-rate study; `checked` is None where it has no coordinate check."""

    spec: StudySpec
    variant: Variant
    checked: VariantVerdict | None
    swept: TransferJudgement

    @property
    def axis(self) -> Axis:
        """What the learning rate is to transfer over."""
        return self.swept.axis

    @property
    def entry(self) -> OptimizerEntry:
        """The optimizer in the catalogue."""
        return catalogue.OPTIMIZERS[self.variant.optimizer.name]

    @cached_property
    def optimizer(self) -> Mapping[str, OptionValue]:
        """Its options, complete."""
        return self.variant.optimizer.complete

    @cached_property
    def model(self) -> Mapping[str, OptionValue]:
        """The options of the model, complete."""
        return catalogue.MODELS[self.variant.model.name].complete(dict(self.variant.model.options))

    @property
    def depth(self) -> int:
        """The largest depth."""
        return self.spec.depths[-1]

    @property
    def widest(self) -> int:
        """The largest width."""
        return self.spec.widths[-1]

    @property
    def drift(self) -> Drift | None:
        """The one that decides."""
        return self.swept.worst

    @property
    def moves_as_expected(self) -> bool:
        """Whether theory or practice has the best rate move, and it does."""
        drift = self.drift
        return drift is not None and bool(drift.expected) and drift.as_expected is True

    @property
    def optima(self) -> tuple[WidthOptimum, ...]:
        """Those along the drift that decides, small places first."""
        drift = self.drift
        own = [one for one in self.swept.optima if drift is None or _is_along(drift, one)]
        return tuple(sorted(own, key=lambda one: one.on(self.axis)))

    @property
    def octaves_moved(self) -> float | None:
        """From the optimum of the smallest place to that of the largest, by the line."""
        drift, places = self.drift, [one.on(self.axis) for one in self.optima]
        if drift is None or drift.slope is None or len(places) < 2 or places[0] < 1:
            return None
        return drift.slope * math.log2(places[-1] / places[0])

    @property
    def spacing(self) -> float:
        """Octaves between learning rates, the widest gap."""
        octaves = self.spec.octaves
        return max(b - a for a, b in pairwise(octaves))

    def rules(self, width: int) -> dict[str, WeightRule]:
        """The rule of every weight at a width, at the largest depth."""
        return weight_rules(
            self.variant.parametrization.choice,
            self.variant.optimizer.name,
            self._dims(width),
            dict(self.optimizer),
        )

    def weights(self) -> Iterator[tuple[WeightEntry, WeightRule, WeightRule]]:
        """Every weight with its rule at the smallest and at the largest width."""
        entry = catalogue.MODELS[self.variant.model.name]
        small, large = self.spec.widths[0], self.spec.widths[-1]
        narrow, wide = self.rules(small), self.rules(large)
        for weight in entry.weights(small, self.depth, dict(self.variant.model.options)):
            yield weight, narrow[weight.name], wide[weight.name]

    def _dims(self, width: int) -> dict[str, WeightDims]:
        base_width = self.spec.base_width or self.spec.widths[0]
        size = Size(width, self.depth, base_width, self.spec.base_depth or 1)
        return dimensions(self.variant.model.name, dict(self.variant.model.options), size)


def _is_along(drift: Drift, one: WidthOptimum) -> bool:
    """Whether an optimum is one of those that a drift is taken along."""
    others = (axis for axis in FIELDS if axis is not drift.axis)
    given = {name: getattr(drift, name) for name in (FIELDS[axis] for axis in others)}
    return all(value is None or getattr(one, name) == value for name, value in given.items())
