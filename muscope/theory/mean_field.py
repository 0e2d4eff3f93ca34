"""Mean field: every layer an average over its inputs' features (Mei et al. 2018, Everett 2024)."""

from muscope.theory import mup, spectral, symmetry
from muscope.theory.rule import Parametrization, Switches, WeightDims, WeightRule, unscaled
from muscope.vocabulary import Role, UpdateFamily


def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
    """Facts 2.3, relative to the base; it is Table 8 of µP with theta = 1/sqrt(m) on HID."""
    theta = dims.m_in**-0.5 if dims.role is Role.HIDDEN else 1.0
    rule = symmetry.transform(mup.table_8(dims, family), theta, family)
    return unscaled(rule) if options["rates"] == "fixed" else rule


def formulas(options: Switches) -> dict[Role, str]:
    """The rows relative to the base; sigma is the base's std, 1/sqrt(base fan_in)."""
    one = options["rates"] == "fixed"
    return {
        Role.EMBEDDING: "A = 1, B = σ, " + ("C = 1" if one else "C: m (SGD), 1 (Adam)"),
        Role.HIDDEN: "A = 1/√m, B = σ, " + ("C = 1" if one else "C: m (SGD), 1/√m (Adam)"),
        Role.OUTPUT: "A = 1/m, B = σ, " + ("C = 1" if one else "C: m (SGD), 1 (Adam)"),
    }


MEAN_FIELD = Parametrization(
    name="mean_field",
    title="Mean field",
    source="Mei, Montanari & Nguyen 2018; several layers: Everett et al. 2024",
    families=tuple(UpdateFamily),
    table=table,
    formulas=formulas,
    attention_scale=spectral.attention_scale,
)
