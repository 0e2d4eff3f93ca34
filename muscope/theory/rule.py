"""The shape of a rule: what a parametrization says about one weight."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from muscope.theory import tuning
from muscope.vocabulary import Role, UpdateFamily

Switches: TypeAlias = Mapping[str, bool | int | float | str]
"""The options of a parametrization, complete."""

ROLES = (Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT, Role.VECTOR, Role.SCALAR)
"""The roles of weights; the others are of activations."""

VECTORS = frozenset((Role.VECTOR, Role.SCALAR))
"""Biases and gains, which start at 0 and 1 and not at random."""


@dataclass(frozen=True, slots=True)
class WeightDims:
    """The dimensions that a rule needs of one weight, here and in the base model.

    An embedding that looks tokens up has fan_in 1: its input is one-hot. So has a bias or a gain:
    what it multiplies is one number. A weight in a branch adds to the residual stream through
    `depth` blocks; one that `writes_stream` is the branch's last. `part` says which:
    "attention.q", "mlp.up" and the like, or nothing. `fused_fan_out` are the rows of the matrix
    that it is stored in with others, 0 if it is its own; a weight that `starts_at_zero` does so
    whatever the rule says.
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
    fused_fan_out: int = 0
    starts_at_zero: bool = False
    is_bias: bool = False

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

    @property
    def column(self) -> Role:
        """Where a table of three columns has it: "input weights & all biases" are one there.

        (Yang et al. 2022, Tables 3, 8 and 9.) Nothing grows of a scalar, so any column says 1.
        """
        return Role.EMBEDDING if self.role in VECTORS else self.role


@dataclass(frozen=True, slots=True)
class WeightRule:
    """What to do with one weight: y = multiplier * (W x), W_0 ~ N(0, init_std^2).

    A bias is multiplied too. It starts at 0 and a gain at 1 / multiplier; their init_std is 0.
    The factors multiply the base learning rate, weight decay and epsilon of the optimizer; that of
    weight decay is for decay in the coupled form (docs/facts.md, section 0), that of epsilon for
    one that is added to something as large as a gradient.
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
    what a branch adds to the stream. `formulas(options)` says the rows as the source prints them:
    those of biases and gains are under `vector`, where it prints any. `why_no_biases` is the
    sentence for a model with biases, empty where they have a rule.
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
    why_no_biases: str = ""

    def weight_rule(self, dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
        """The rule of one weight, or ValueError where no source gives one."""
        if dims.role not in ROLES:
            raise ValueError(f"{self.name} has no rule for a weight of role {dims.role.value!r}")
        if dims.is_bias and self.why_no_biases:
            raise ValueError(self.why_no_biases)
        if family not in self.families:
            raise no_rule(self.name, family, self.families)
        rule = self.table(dims, family, options)
        return _tuned(replace(rule, init_std=_init_std(rule, dims, options)), dims.role, options)


def _init_std(rule: WeightRule, dims: WeightDims, options: Switches) -> float:
    """The table's, but for what does not start at random and for the switches of the readout."""
    readout = dims.role is Role.OUTPUT
    if dims.role in VECTORS or dims.starts_at_zero or (readout and options["zero_readout"]):
        return 0.0
    if readout and options["sp_unembedding"]:  # "SP unembedding init" of Lingle 2024
        return float(dims.fan_in**-0.5 / rule.multiplier)
    return rule.init_std


_TUNED = {Role.EMBEDDING: tuning.EMBEDDING, Role.OUTPUT: tuning.READOUT}


def _tuned(rule: WeightRule, role: Role, options: Switches) -> WeightRule:
    """With what the options multiply: the std of all random weights, embeddings and logits."""
    multiplier = tuning.factor(options, _TUNED[role]) if role in _TUNED else 1.0
    std = tuning.factor(options, tuning.INIT_STD)
    return replace(rule, multiplier=rule.multiplier * multiplier, init_std=rule.init_std * std)


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
