"""Spectral µP: weights and updates of spectral norm sqrt(fan_out / fan_in) (Yang et al. 2023)."""

import math

from muscope.theory.rule import Parametrization, Switches, WeightDims, WeightRule
from muscope.vocabulary import Role, UpdateFamily


def rate(dims: WeightDims, family: UpdateFamily, std_ratio: float) -> float:
    """The learning rate over the base model's that the spectral condition asks for.

    rho is the spectral norm of the raw update of a weight with multiplier 1, whose init std is
    `std_ratio` times the base model's; the learning rate is sqrt(fan_out / fan_in) / rho
    (docs/facts.md 3, at the low rank that the theory of µP assumes). A vector is a matrix of one
    column: sources say m for SGD and 1 for Adam (facts 2.5); the other families' are derived.
    """
    m_in, m_out = dims.m_in, dims.m_out
    return {
        UpdateFamily.SGD_LIKE: m_out / m_in,  # rho = sqrt(fan_in / fan_out)
        UpdateFamily.SIGN_LIKE: 1 / m_in,  # rho = sqrt(fan_out fan_in)
        UpdateFamily.ORTHOGONAL: math.sqrt(m_out / m_in),  # rho = 1
        UpdateFamily.ORTHOGONAL_RMS: math.sqrt(m_out / m_in / max(m_out, m_in)),  # rho^2 = max
        UpdateFamily.TRUST_RATIO: 1 / (m_in * std_ratio),  # rho = |W|_F, an update of low rank
        UpdateFamily.PARAMETER_SCALED: 1 / (m_in * std_ratio),  # rho = RMS(W) sqrt(...)
    }[family]


def init_std(fan_in: int, fan_out: int) -> float:
    """(1 / sqrt(fan_in)) min(1, sqrt(fan_out / fan_in)): spectral norm sqrt(fan_out / fan_in)."""
    return 1 / math.sqrt(fan_in) * min(1.0, math.sqrt(fan_out / fan_in))


def gradient_size(dims: WeightDims, family: UpdateFamily) -> float:
    """What epsilon is measured against, for a multiplier of 1 (docs/facts.md 1).

    Entries of the gradient shrink as 1/m but for the readout's. An orthogonal update is made of
    singular values, and the norm of the gradient is sqrt(fan_in / fan_out): Shampoo's epsilon,
    added to G G^T, has the square of it (facts 2.11, arXiv 2603.00541, Table 5).
    """
    if family is UpdateFamily.ORTHOGONAL:
        return math.sqrt(dims.m_in / dims.m_out)
    return 1.0 if dims.role is Role.OUTPUT else 1.0 / dims.m


def weight_decay(factor: float, family: UpdateFamily, std_ratio: float) -> float:
    """The factor of coupled decay that keeps the shrinking per step at every width (facts 3).

    A step shrinks the weight by its learning rate times lambda, with LAMB times |W|_F / |r|_F too,
    where r is Adam's direction with entries of size 1.
    """
    return 1 / (factor * std_ratio) if family is UpdateFamily.TRUST_RATIO else 1 / factor


def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
    """Parametrization 1 of the paper; learning rates relative to the base (docs/facts.md 2.5)."""
    std = init_std(dims.fan_in, dims.fan_out)
    std_ratio = std / init_std(dims.base_fan_in, dims.base_fan_out)
    factor = rate(dims, family, std_ratio)
    return WeightRule(
        multiplier=1.0,
        init_std=std,
        learning_rate_factor=factor,
        weight_decay_factor=weight_decay(factor, family, std_ratio),
        epsilon_factor=gradient_size(dims, family),
    )


def formulas(options: Switches) -> dict[Role, str]:
    """One condition for every role: no tensor is special."""
    line = (
        "A = 1, B = min(1, √(fan_out/fan_in))/√fan_in, C = √(m_out/m_in)/ρ: "
        "m_out/m_in (SGD), 1/m_in (Adam), √(m_out/m_in) (Muon)"
    )
    rows = dict.fromkeys((Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT), line)
    return {**rows, Role.VECTOR: "A = 1, B = 0, C: m (SGD), 1 (Adam)"}


def attention_scale(head_size: int, base_head_size: int, options: Switches) -> float:
    """q.k * sqrt(base head size) / head size, as in every maximal-update parametrization."""
    return math.sqrt(base_head_size) / head_size


SPECTRAL = Parametrization(
    name="spectral",
    title="Spectral µP",
    source="Yang, Simon & Bernstein 2023 (A Spectral Condition for Feature Learning), Param. 1",
    families=tuple(UpdateFamily),
    table=table,
    formulas=formulas,
    attention_scale=attention_scale,
)
