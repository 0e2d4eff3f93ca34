"""SP, the standard parametrization: LeCun initialization, one learning rate for every weight."""

import math

from muscope.theory.rule import Parametrization, WeightDims, WeightRule
from muscope.vocabulary import Role, UpdateFamily


def weight_rule(dims: WeightDims, family: UpdateFamily, options: dict[str, bool]) -> WeightRule:
    """Init std 1/sqrt(fan_in); nothing else depends on width (theory/facts.md 2.1, column b)."""
    init_std = 0.0 if dims.role is Role.OUTPUT and options["zero_readout"] else dims.fan_in**-0.5
    return WeightRule(
        multiplier=1.0,
        init_std=init_std,
        learning_rate_factor=1.0,
        weight_decay_factor=1.0,
        epsilon_factor=1.0,
    )


def attention_scale(head_size: int, base_head_size: int) -> float:
    """q.k / sqrt(head size) (Vaswani et al. 2017)."""
    return 1.0 / math.sqrt(head_size)


SP = Parametrization(
    name="sp",
    title="SP",
    source="standard parametrization, LeCun et al. 1998 initialization",
    weight_rule=weight_rule,
    attention_scale=attention_scale,
)
