"""µP, the maximal update parametrization, in the three forms of Yang et al. 2022."""

import math
from dataclasses import replace

from muscope.theory import spectral, symmetry
from muscope.theory.rule import Parametrization, Switches, WeightDims, WeightRule
from muscope.vocabulary import Role, UpdateFamily

FORMS = ("table8", "table3", "table9")
TRUST_RATIO_RATES = ("low_rank", "full_rank")


def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
    """Tensor Programs V, relative to a base model that equals its SP twin (docs/facts.md 2.4)."""
    theta = _theta(dims, str(options["form"]))
    rule = symmetry.transform(table_3(dims, family), theta, family)
    # LAMB: 1/sqrt(m) at low rank (Tensor Programs V, B.3), 1 where updates have the stable rank of
    # their weights (arXiv 2602.20937). The sources disagree (facts 3, note L).
    full_rank = options["trust_ratio_rate"] == "full_rank"
    if full_rank and family is UpdateFamily.TRUST_RATIO:
        decay = rule.weight_decay_factor * rule.learning_rate_factor
        return replace(rule, learning_rate_factor=1.0, weight_decay_factor=decay)
    return rule


def table_8(dims: WeightDims, family: UpdateFamily) -> WeightRule:
    """The form that the parametrizations made from µP start from."""
    return table(dims, family, {"form": "table8", "trust_ratio_rate": "low_rank"})


def table_3(dims: WeightDims, family: UpdateFamily) -> WeightRule:
    """Table 3: no multipliers. Learning rates of other families by the spectral condition."""
    std_ratio = 1 / dims.m_in if dims.role is Role.OUTPUT else dims.m_in**-0.5
    factor = spectral.rate(dims, family, std_ratio)
    return WeightRule(
        multiplier=1.0,
        init_std=dims.base_fan_in**-0.5 * std_ratio,
        learning_rate_factor=factor,
        weight_decay_factor=spectral.weight_decay(factor, family, std_ratio),
        epsilon_factor=spectral.gradient_size(dims, family),
    )


def _theta(dims: WeightDims, form: str) -> float:
    """From Table 3 to the form, by the abc-symmetry (docs/facts.md 1)."""
    match dims.column, form:
        case Role.OUTPUT, "table8":
            return 1 / dims.m_in
        case Role.OUTPUT, "table9":
            return 1 / math.sqrt(dims.m_in)
        case Role.EMBEDDING, "table9":
            return math.sqrt(dims.m_out)
        case _:
            return 1.0


_HIDDEN = "A = 1, B = 1/√fan_in, C: 1 (SGD), 1/m (Adam), 1 (Muon), 1/√m (Muon RMS, LAMB)"

# Rows as Tensor Programs V prints them, relative to the base: m for n, sigma the base's std.
_ROWS: dict[str, dict[Role, str]] = {
    "table3": {
        Role.EMBEDDING: "A = 1, B = 1/√fan_in, C: m (SGD), 1 (Adam), √m (Shampoo)",
        Role.HIDDEN: _HIDDEN,
        Role.OUTPUT: "A = 1, B = σ/m, C: 1/m (SGD), 1/m (Adam), 1/√m (Shampoo)",
        Role.VECTOR: "A = 1, B = 0, C: m (SGD), 1 (Adam)",
    },
    "table8": {
        Role.EMBEDDING: "A = 1, B = 1/√fan_in, C: m (SGD), 1 (Adam), √m (Shampoo)",
        Role.HIDDEN: _HIDDEN,
        Role.OUTPUT: "A = 1/m, B = σ, C: m (SGD), 1 (Adam), √m (Shampoo)",
        Role.VECTOR: "A = 1, B = 0, C: m (SGD), 1 (Adam)",
    },
    "table9": {
        Role.EMBEDDING: "A = √m, B = σ/√m, C: 1 (SGD), 1/√m (Adam), 1 (Shampoo)",
        Role.HIDDEN: _HIDDEN,
        Role.OUTPUT: "A = 1/√m, B = σ/√m, C: 1 (SGD), 1/√m (Adam), 1 (Shampoo)",
        Role.VECTOR: "A = √m, B = 0, C: 1 (SGD), 1/√m (Adam)",
    },
}


def formulas(options: Switches) -> dict[Role, str]:
    """The rows of the chosen table."""
    return _ROWS[str(options["form"])]


MUP = Parametrization(
    name="mup",
    title="µP",
    source="Yang et al. 2022 (Tensor Programs V), Table 8",
    families=tuple(UpdateFamily),
    table=table,
    formulas=formulas,
    attention_scale=spectral.attention_scale,
)
