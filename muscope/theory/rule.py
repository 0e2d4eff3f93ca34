"""The shape of a rule: what a parametrization says about one weight."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from muscope.vocabulary import Role, UpdateFamily

Switches: TypeAlias = Mapping[str, bool | int | float | str]
"""The options of a parametrization, complete."""

ROLES = (Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT)
"""The roles of weights that have rules; no model has a bias or a gain yet."""


@dataclass(frozen=True, slots=True)
class WeightDims:
    """The dimensions that a rule needs of one weight, here and in the base model.

    An embedding that looks tokens up has fan_in 1: its input is one-hot. A weight in a branch adds
    to the residual stream through `depth` blocks; one that `writes_stream` is the branch's last.
    `part` says which: "attention", "mlp.up", "mlp.down", or nothing.
    """

    role: Role
    fan_in: int
    fan_out: int
    base_fan_in: int
    base_fan_out: int
    depth: int = 1
    base_depth: int = 1
    in_branch: bool = False
    writes_stream: bool = False
    part: str = ""

    @property
    def m_in(self) -> float:
        """fan_in relative to the base model."""
        return self.fan_in / self.base_fan_in

    @property
    def m_out(self) -> float:
        """fan_out relative to the base model."""
        return self.fan_out / self.base_fan_out

    @property
    def m(self) -> float:
        """The width relative to the base model: what grows of this weight."""
        return self.m_in if self.role is Role.OUTPUT else self.m_out

    @property
    def r(self) -> float:
        """The depth relative to the base model; 1 for a weight outside the branches."""
        return self.depth / self.base_depth if self.in_branch else 1.0


@dataclass(frozen=True, slots=True)
class WeightRule:
    """What to do with one weight: y = multiplier * (W x), W_0 ~ N(0, init_std^2).

    The factors multiply the base learning rate, weight decay and epsilon of the optimizer; that of
    weight decay is for decay in the coupled form (theory/facts.md, section 0).
    """

    multiplier: float
    init_std: float
    learning_rate_factor: float
    weight_decay_factor: float
    epsilon_factor: float


def vaswani_scale(head_size: int, base_head_size: int, options: Switches) -> float:
    """q.k / sqrt(head size) (Vaswani et al. 2017)."""
    return 1.0 / math.sqrt(head_size)


def no_depth_rule(depth: int, base_depth: int, options: Switches) -> float:
    """Every branch is added as it is."""
    return 1.0


@dataclass(frozen=True, slots=True)
class Parametrization:
    """A table of rules with its name and source.

    `table(dims, family, options)` is the row of one weight, `attention_scale(head_size,
    base_head_size, options)` multiplies q.k, `residual_multiplier(depth, base_depth, options)`
    what a branch adds to the stream. `formulas(options)` says the rows as the source prints them.
    """

    name: str
    title: str
    source: str
    families: tuple[UpdateFamily, ...]
    table: Callable[[WeightDims, UpdateFamily, Switches], WeightRule]
    formulas: Callable[[Switches], dict[Role, str]]
    attention_scale: Callable[[int, int, Switches], float] = vaswani_scale
    residual_multiplier: Callable[[int, int, Switches], float] = no_depth_rule
    needs_branches: bool = False

    def weight_rule(self, dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
        """The rule of one weight, or ValueError where no source gives one."""
        if dims.role not in ROLES:
            raise ValueError(f"{self.name} has no rule for a weight of role {dims.role.value!r}")
        if family not in self.families:
            raise no_rule(self.name, family, self.families)
        rule = self.table(dims, family, options)
        if dims.role is Role.OUTPUT and options["zero_readout"]:
            return replace(rule, init_std=0.0)
        return rule


def unscaled(rule: WeightRule) -> WeightRule:
    """The rule with the base's learning rate and decay, whatever becomes of the activations."""
    return replace(rule, learning_rate_factor=1.0, weight_decay_factor=1.0)


def no_rule(name: str, family: UpdateFamily, allowed: tuple[UpdateFamily, ...]) -> ValueError:
    """The sentence for a pair of parametrization and update family that no source covers."""
    names = ", ".join(member.value for member in allowed)
    return ValueError(
        f"no source gives parametrization {name!r} a learning rate for optimizers of the family "
        f"{family.value!r}; allowed: {names}"
    )
