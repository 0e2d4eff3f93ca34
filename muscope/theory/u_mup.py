"""u-µP, the unit-scaled maximal update parametrization (Blake et al. 2024), as arithmetic."""

import math

from muscope.theory.rule import Parametrization, Switches, WeightDims, WeightRule
from muscope.vocabulary import Role, UpdateFamily

READOUT_CONSTRAINTS = ("none", "to_output_scale")


def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
    """Table 2 and graphcore's unit-scaling (docs/facts.md 2.9): absolute rules, no base.

    The backward scales make every gradient of unit size, so epsilon stays. Decay is independent
    there (`adamw_independent`); the factor for coupled decay is derived, 1/C (facts 3): each step
    then shrinks every weight by learning rate times lambda. A one-hot input, a bias and a gain have
    a fan_in of 1. A bias is inside its matrix's multiplier.
    """
    factor = _rate(dims, family, options)
    return WeightRule(
        multiplier=1 / dims.fan_in if dims.role is Role.OUTPUT else dims.fan_in**-0.5,
        init_std=1.0,
        learning_rate_factor=factor,
        weight_decay_factor=1 / factor,
        epsilon_factor=1.0,
    )


def _rate(dims: WeightDims, family: UpdateFamily, options: Switches) -> float:
    """The rule of Adam is also SGD's, unless the readout's backward scale is its forward scale."""
    inverted = (
        family is UpdateFamily.SGD_LIKE and options["readout_constraint"] == "to_output_scale"
    )
    stack = 1 / math.sqrt(dims.depth) if dims.in_branch else 1.0
    match dims.role:
        case Role.EMBEDDING:
            return math.sqrt(dims.fan_out) if inverted else 1 / math.sqrt(dims.fan_out)
        case Role.HIDDEN:
            return stack * (math.sqrt(dims.fan_in) if inverted else 1 / math.sqrt(dims.fan_in))
        case Role.OUTPUT:
            return 1.0
        case _:  # biases and gains of norms, whose only dimension unit-scaling takes
            return stack * (dims.fan_out if inverted else 1.0)


def formulas(options: Switches) -> dict[Role, str]:
    """Table 2, absolute: no base width."""
    return {
        Role.EMBEDDING: "A = 1/√fan_in (lookup: 1), B = 1, C = 1/√fan_out",
        Role.HIDDEN: "A = 1/√fan_in, B = 1, C = 1/√(fan_in depth)",
        Role.OUTPUT: "A = 1/fan_in, B = 1, C = 1",
        Role.VECTOR: "A = 1, B = 0, C = 1/√depth in a branch, 1 elsewhere",
    }


def residual_taus(
    branches: int, *, alpha_res: float = 1.0, alpha_ratio: float = 1.0
) -> tuple[float, ...]:
    """tau of every branch, attention and feed-forward in turn (App. G.2.2).

    N_b = branches; tau_i = alpha_i / sqrt(N_b/2 + n_attn alpha_attn^2 + n_ffn alpha_ffn^2), with
    the branches of each kind before it counted.
    """
    alpha_ffn = alpha_res * math.sqrt(2 / (1 + alpha_ratio**2))
    alpha_attn = alpha_ratio * alpha_ffn

    def tau(i: int) -> float:
        n_attn, n_ffn = (i + 1) // 2, i // 2
        before = n_attn * alpha_attn**2 + n_ffn * alpha_ffn**2
        return (alpha_ffn if i % 2 else alpha_attn) / math.sqrt(branches / 2 + before)

    return tuple(map(tau, range(branches)))


def residual_factors(tau: float) -> tuple[float, float]:
    """(a, b) of h <- a f(h) + b h: a / b = tau and a^2 + b^2 = 1."""
    b = 1 / math.sqrt(1 + tau**2)
    return tau * b, b


def attention_scale(head_size: int, base_head_size: int, options: Switches) -> float:
    """alpha_attn-softmax q.k / head size."""
    return float(options["alpha_attn_softmax"]) / head_size


U_MUP = Parametrization(
    name="u_mup",
    title="u-µP",
    source="Blake et al. 2024 (u-µP), Table 2; graphcore-research/unit-scaling a7b5b3c",
    families=(UpdateFamily.SGD_LIKE, UpdateFamily.SIGN_LIKE),
    table=table,
    formulas=formulas,
    attention_scale=attention_scale,
)
