"""CompleteP: branches divided by r^alpha, with alpha = 1 (Dey et al. 2025, Table 1)."""

from muscope.theory import mup, spectral
from muscope.theory.depth_mup import scaled_by_depth
from muscope.theory.rule import Parametrization, Switches, WeightDims, WeightRule, no_rule
from muscope.vocabulary import Role, UpdateFamily

ALPHAS = (1.0, 0.5)

# Facts 2.11 (arXiv 2603.00541, Tables 3-6, branches of two or more matrices, alpha = 1): powers
# of r for learning rate, weight decay, epsilon. CompleteP itself gives AdamW's only.
_DEPTH: dict[UpdateFamily, tuple[float, float, float]] = {
    UpdateFamily.SGD_LIKE: (1.0, -1.0, -1.0),
    UpdateFamily.SIGN_LIKE: (0.0, 0.0, -1.0),
    UpdateFamily.ORTHOGONAL: (0.0, 0.0, -1.0),  # squared for Shampoo's: -2
    UpdateFamily.ORTHOGONAL_RMS: (0.0, 0.0, -1.0),
}


def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
    """Table 8 in width; in depth Table 1. Epsilon of embedding and readout has no depth factor."""
    alpha = float(options["alpha"])
    if alpha == 1:
        powers = _DEPTH[family]
    elif family is UpdateFamily.SIGN_LIKE:
        powers = (alpha - 1, 0.0, -alpha)
    else:
        raise no_rule(f"complete_p with alpha {alpha:g}", family, (UpdateFamily.SIGN_LIKE,))
    return scaled_by_depth(mup.table_8(dims, family), dims.r, powers)


def formulas(options: Switches) -> dict[Role, str]:
    """Table 1 at the chosen alpha; r is the depth over the base depth."""
    rate = {1.0: "1", 0.5: "1/√r"}[float(options["alpha"])]
    sgd = {1.0: "m r (SGD), ", 0.5: ""}[float(options["alpha"])]
    hidden = {
        1.0: "C: r (SGD), 1/m (Adam), 1 (Muon), 1/√m (Muon RMS)",
        0.5: "C: 1/(m√r) (Adam)",
    }[float(options["alpha"])]
    return {
        Role.EMBEDDING: "A = 1, B = 1/√fan_in, C: m (SGD), 1 (Adam)",
        Role.HIDDEN: f"A = 1, B = 1/√fan_in, {hidden}",
        Role.OUTPUT: "A = 1/m, B = σ, C: m (SGD), 1 (Adam)",
        Role.VECTOR: f"A = 1, B = 0, C: {sgd}{rate} (Adam) in a branch, as embedding elsewhere",
    }


def residual_multiplier(depth: int, base_depth: int, options: Switches) -> float:
    """r^-alpha."""
    return float((depth / base_depth) ** -float(options["alpha"]))


COMPLETE_P = Parametrization(
    name="complete_p",
    title="CompleteP",
    source="Dey et al. 2025 (CompleteP), Table 1; arXiv 2603.00541, Tables 3-6",
    families=tuple(_DEPTH),
    table=table,
    formulas=formulas,
    attention_scale=spectral.attention_scale,
    residual_multiplier=residual_multiplier,
    needs_branches=True,
)
