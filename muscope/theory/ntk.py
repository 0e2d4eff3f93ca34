"""NTK parametrization: unit weights under a multiplier 1/sqrt(fan_in) (Jacot et al. 2018)."""

from muscope.theory.rule import Parametrization, Switches, WeightDims, WeightRule, unscaled
from muscope.vocabulary import Role, UpdateFamily

RATES = ("max_stable", "fixed")

# Facts 2.2, last columns: learning rates as powers of m, (embedding, hidden, output). Those of
# Adafactor are Everett et al. 2024's, at full alignment (facts 2.12).
_MAX_STABLE: dict[UpdateFamily, dict[Role, float]] = {
    UpdateFamily.SGD_LIKE: {Role.EMBEDDING: 0.0, Role.HIDDEN: 0.0, Role.OUTPUT: 0.0},
    UpdateFamily.SIGN_LIKE: {Role.EMBEDDING: 0.0, Role.HIDDEN: -0.5, Role.OUTPUT: -0.5},
    UpdateFamily.PARAMETER_SCALED: {Role.EMBEDDING: 0.0, Role.HIDDEN: -0.5, Role.OUTPUT: -0.5},
}
# Gradients at initialization as powers of m (facts 1); epsilon goes with them.
_GRADIENT = {Role.EMBEDDING: -0.5, Role.HIDDEN: -1.0, Role.OUTPUT: -0.5}


def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
    """Facts 2.2, relative to the base: at m = 1 the model is its SP twin."""
    factor = dims.m ** _MAX_STABLE[family][dims.column]
    rule = WeightRule(
        multiplier=dims.m_in**-0.5,
        init_std=dims.base_fan_in**-0.5,
        learning_rate_factor=factor,
        weight_decay_factor=1.0 / factor,
        epsilon_factor=dims.m ** _GRADIENT[dims.column],
    )
    return unscaled(rule) if options["rates"] == "fixed" else rule


def formulas(options: Switches) -> dict[Role, str]:
    """The rows relative to the base; sigma is the base's std, 1/sqrt(base fan_in)."""
    rates = "C = 1" if options["rates"] == "fixed" else "C: 1 (SGD), 1/√m (Adam, Adafactor)"
    line = f"A = 1/√m, B = σ, {rates}"
    first = "A = 1, B = σ, C = 1"
    vector = "A = 1, B = 0, C = 1"
    return {Role.EMBEDDING: first, Role.HIDDEN: line, Role.OUTPUT: line, Role.VECTOR: vector}


NTK = Parametrization(
    name="ntk",
    title="NTK",
    source="Jacot et al. 2018; learning rates of Adam: Everett et al. 2024, full alignment",
    families=tuple(_MAX_STABLE),
    table=table,
    formulas=formulas,
)
