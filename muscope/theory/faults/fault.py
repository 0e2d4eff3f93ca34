"""The shape of a fault: what a rule becomes when one thing is implemented wrongly."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeAlias

from muscope.theory.rule import WeightDims, WeightRule
from muscope.vocabulary import UpdateFamily


class Visibility(StrEnum):
    """Which check shows a fault: slopes on width or depth, the static audit, a transfer study."""

    WIDTH = "width"
    DEPTH = "depth"
    AUDIT = "audit"
    TRANSFER = "transfer"


@dataclass(frozen=True, slots=True)
class Weight:
    """One weight as the healthy parametrization has it: `rule_of` gives the rule of any size."""

    dims: WeightDims
    family: UpdateFamily
    rule_of: Callable[[WeightDims, UpdateFamily], WeightRule]

    @property
    def rule(self) -> WeightRule:
        """The healthy rule."""
        return self.rule_of(self.dims, self.family)

    @property
    def base(self) -> WeightRule:
        """The healthy rule at the base width, as deep."""
        dims = self.dims
        base = replace(dims, fan_in=dims.base_fan_in, fan_out=dims.base_fan_out)
        return self.rule_of(base, self.family)

    @property
    def shallow(self) -> WeightRule:
        """The healthy rule at the base depth, as wide."""
        return self.rule_of(replace(self.dims, depth=self.dims.base_depth), self.family)


Change: TypeAlias = Callable[[Weight], WeightRule]


def healthy(weight: Weight) -> WeightRule:
    """The rule as it should be."""
    return weight.rule


def same_scale(scale: float, head_size: int, base_head_size: int) -> float:
    """The scale of q.k as it should be."""
    return scale


def same_multiplier(multiplier: float, r: float) -> float:
    """The residual multiplier as it should be."""
    return multiplier


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that people get wrong, as arithmetic on the healthy rules.

    `change` gives the broken rule of a weight, `attention(scale, head_size, base_head_size)` what
    q.k is multiplied by instead, `residual(multiplier, r)` what a branch is. `visible` names the
    checks that show it, `fix` the line of the rule's table to look at.
    """

    name: str
    title: str
    visible: tuple[Visibility, ...]
    fix: str
    change: Change = healthy
    attention: Callable[[float, int, int], float] = same_scale
    residual: Callable[[float, float], float] = same_multiplier
