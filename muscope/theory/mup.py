"""µP, the maximal update parametrization, in the relative form of Table 8 (Yang et al. 2022)."""

import math
from typing import assert_never

from muscope.theory.rule import Parametrization, WeightDims, WeightRule
from muscope.vocabulary import Role, UpdateFamily


def weight_rule(dims: WeightDims, family: UpdateFamily, options: dict[str, bool]) -> WeightRule:
    """Tensor Programs V, Table 8, relative to a base model that equals its SP twin.

    B: embedding and hidden 1/sqrt(fan_in), output its base value (or zero).
    A: output 1/m_in. Learning rates per update family below; epsilon moves with the gradients,
    which shrink as 1/m for every role (theory/facts.md 1 and 2.4).
    """
    match dims.role:
        case Role.OUTPUT:
            multiplier = 1.0 / dims.m_in
            init_std = 0.0 if options["zero_readout"] else dims.base_fan_in**-0.5
        case Role.EMBEDDING | Role.HIDDEN:
            multiplier, init_std = 1.0, dims.fan_in**-0.5
        case _:
            raise ValueError(f"mup has no rule for a weight of role {dims.role.value!r}")
    factor = learning_rate_factor(dims, family)
    m = dims.m_in if dims.role is Role.OUTPUT else dims.m_out
    return WeightRule(
        multiplier=multiplier,
        init_std=init_std,
        learning_rate_factor=factor,
        weight_decay_factor=1.0 / factor,
        epsilon_factor=1.0 / m,
    )


def learning_rate_factor(dims: WeightDims, family: UpdateFamily) -> float:
    """The learning-rate rows of Table 8, one row per role."""
    match family:
        case UpdateFamily.SGD_LIKE:
            rows = {
                Role.EMBEDDING: dims.m_out,
                Role.HIDDEN: dims.m_out / dims.m_in,
                Role.OUTPUT: dims.m_in,
            }
        case UpdateFamily.SIGN_LIKE:
            rows = {Role.EMBEDDING: 1.0, Role.HIDDEN: 1.0 / dims.m_in, Role.OUTPUT: 1.0}
        case _:
            assert_never(family)
    return rows[dims.role]


def attention_scale(head_size: int, base_head_size: int) -> float:
    """q.k * sqrt(base head size) / head size: 1/d, equal to SP at the base (Definition 4.1)."""
    return math.sqrt(base_head_size) / head_size


MUP = Parametrization(
    name="mup",
    title="µP",
    source="Yang et al. 2022 (Tensor Programs V), Table 8",
    weight_rule=weight_rule,
    attention_scale=attention_scale,
)
