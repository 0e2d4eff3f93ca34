"""Depth-µP: branches of one matrix, divided by the root of the depth (Yang et al. 2023, TP-VI)."""

from muscope.theory import mup, spectral
from muscope.theory.rule import Parametrization, Switches, WeightDims, WeightRule
from muscope.vocabulary import Role, UpdateFamily

# Facts 2.10 and 2.11 (arXiv 2603.00541, Tables 9-13, k = 1): powers of the depth ratio r of a
# weight in a branch, beside the width's Table 8; columns learning rate, weight decay, epsilon.
_DEPTH: dict[UpdateFamily, tuple[float, float, float]] = {
    UpdateFamily.SGD_LIKE: (0.0, -0.5, -0.5),
    UpdateFamily.SIGN_LIKE: (-0.5, 0.0, -0.5),
    UpdateFamily.ORTHOGONAL: (-0.5, 0.0, -0.5),  # squared for Shampoo's: -1
    UpdateFamily.ORTHOGONAL_RMS: (-0.5, 0.0, -0.5),
}


def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
    """Table 8 in width; in depth the powers above for what stands in a branch."""
    return scaled_by_depth(mup.table_8(dims, family), dims.r, _DEPTH[family])


def scaled_by_depth(rule: WeightRule, r: float, powers: tuple[float, float, float]) -> WeightRule:
    """The rule with learning rate, decay and epsilon times powers of r."""
    rate, decay, epsilon = powers
    return WeightRule(
        multiplier=rule.multiplier,
        init_std=rule.init_std,
        learning_rate_factor=rule.learning_rate_factor * r**rate,
        weight_decay_factor=rule.weight_decay_factor * r**decay,
        epsilon_factor=rule.epsilon_factor * r**epsilon,
    )


def formulas(options: Switches) -> dict[Role, str]:
    """Table 8 with the depth's factors; r is the depth over the base depth."""
    return {
        Role.EMBEDDING: "A = 1, B = 1/√fan_in, C: m (SGD), 1 (Adam)",
        Role.HIDDEN: "A = 1, B = 1/√fan_in, C: 1 (SGD), 1/(m√r) (Adam), 1/√r (Muon), "
        "1/√(m r) (Muon RMS)",
        Role.OUTPUT: "A = 1/m, B = σ, C: m (SGD), 1 (Adam)",
        Role.VECTOR: "A = 1, B = 0, C: m (SGD), 1/√r (Adam) in a branch, 1 elsewhere",
    }


def residual_multiplier(depth: int, base_depth: int, options: Switches) -> float:
    """1 / sqrt(r)."""
    return float((depth / base_depth) ** -0.5)


DEPTH_MUP = Parametrization(
    name="depth_mup",
    title="Depth-µP",
    source="Yang et al. 2023 (Tensor Programs VI); arXiv 2603.00541, Tables 9-13",
    families=tuple(_DEPTH),
    table=table,
    formulas=formulas,
    attention_scale=spectral.attention_scale,
    residual_multiplier=residual_multiplier,
    needs_branches=True,
)
