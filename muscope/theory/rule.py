"""The shape of a rule: what a parametrization says about one weight."""

from collections.abc import Callable
from dataclasses import dataclass

from muscope.vocabulary import Role, UpdateFamily


@dataclass(frozen=True, slots=True)
class WeightDims:
    """The dimensions that a rule needs of one weight, here and in the base model.

    An embedding that looks tokens up has fan_in 1: its input is one-hot.
    """

    role: Role
    fan_in: int
    fan_out: int
    base_fan_in: int
    base_fan_out: int

    @property
    def m_in(self) -> float:
        """fan_in relative to the base model."""
        return self.fan_in / self.base_fan_in

    @property
    def m_out(self) -> float:
        """fan_out relative to the base model."""
        return self.fan_out / self.base_fan_out


@dataclass(frozen=True, slots=True)
class WeightRule:
    """What to do with one weight: y = multiplier * (W x), W_0 ~ N(0, init_std^2).

    The factors multiply the base learning rate, weight decay and epsilon of the optimizer.
    """

    multiplier: float
    init_std: float
    learning_rate_factor: float
    weight_decay_factor: float
    epsilon_factor: float


@dataclass(frozen=True, slots=True)
class Parametrization:
    """A table of rules with its name and source.

    `weight_rule(dims, family, options)` gives the rule of one weight; `attention_scale(head_size,
    base_head_size)` multiplies q.k.
    """

    name: str
    title: str
    source: str
    weight_rule: Callable[[WeightDims, UpdateFamily, dict[str, bool]], WeightRule]
    attention_scale: Callable[[int, int], float]
