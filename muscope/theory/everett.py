"""The largest stable learning rate of every layer (Everett et al. 2024, docs/facts.md 2.12)."""

from typing import TypeAlias

from muscope.theory import spectral
from muscope.theory.rule import (
    Parametrization,
    Switches,
    WeightDims,
    WeightRule,
    vaswani_scale,
)
from muscope.vocabulary import Role, UpdateFamily

Exponents: TypeAlias = tuple[float, float, float]
"""Of embedding, hidden and output."""

FORMS = ("sp", "ntk", "mup", "mean_field")
ALIGNMENTS = ("full", "none")

_COLUMN = {Role.EMBEDDING: 0, Role.HIDDEN: 1, Role.OUTPUT: 2}
_SGD, _ADAM, _ADAFACTOR = (
    UpdateFamily.SGD_LIKE,
    UpdateFamily.SIGN_LIKE,
    UpdateFamily.PARAMETER_SCALED,
)
# A = m^-a, B = m^-b, gradients m^-g; those of µP are Table 9's.
_A: dict[str, Exponents] = {
    "sp": (0, 0, 0),
    "ntk": (0, 0.5, 0.5),
    "mup": (-0.5, 0, 0.5),
    "mean_field": (0, 0.5, 1),
}
_B: dict[str, Exponents] = {
    "sp": (0, 0.5, 0.5),
    "ntk": (0, 0, 0),
    "mup": (0.5, 0.5, 0.5),
    "mean_field": (0, 0, 0),
}
_G: dict[str, Exponents] = {
    "sp": (0.5, 0.5, 0),
    "ntk": (0.5, 1, 0.5),
    "mup": (0.5, 1, 0.5),
    "mean_field": (1, 1.5, 1),
}
# Learning rate = eta m^-c.
_C: dict[tuple[UpdateFamily, str], dict[str, Exponents]] = {
    (_SGD, "full"): {
        "sp": (-0.5, 0.5, 1),
        "ntk": (-0.5, -0.5, 0),
        "mup": (0, 0, 0),
        "mean_field": (-1, -1, -1),
    },
    (_SGD, "none"): {
        "sp": (-0.5, 0, 0.5),
        "ntk": (-0.5, -1, -0.5),
        "mup": (0, -0.5, -0.5),
        "mean_field": (-1, -1.5, -1.5),
    },
    (_ADAM, "full"): {
        "sp": (0, 1, 1),
        "ntk": (0, 0.5, 0.5),
        "mup": (0.5, 1, 0.5),
        "mean_field": (0, 0.5, 0),
    },
    (_ADAM, "none"): {
        "sp": (0, 0.5, 0.5),
        "ntk": (0, 0, 0),
        "mup": (0.5, 0.5, 0),
        "mean_field": (0, 0, -0.5),
    },
    (_ADAFACTOR, "full"): {
        "sp": (0, 0.5, 0.5),
        "ntk": (0, 0.5, 0.5),
        "mup": (0, 0.5, 0),
        "mean_field": (0, 0.5, 0),
    },
    (_ADAFACTOR, "none"): {
        "sp": (0, 0, 0),
        "ntk": (0, 0, 0),
        "mup": (0, 0, -0.5),
        "mean_field": (0, 0, -0.5),
    },
}


def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
    """Powers of m, relative to the base; epsilon must go with the gradients, says the paper.

    Of biases and gains it says nothing: its derivation for an input of constant size is theirs too.
    """
    form, column = str(options["form"]), _COLUMN[dims.column]
    c = _C[family, str(options["alignment"])][form][column]
    return WeightRule(
        multiplier=dims.m ** -_A[form][column],
        init_std=dims.base_fan_in**-0.5 * dims.m ** -_B[form][column],
        learning_rate_factor=dims.m**-c,
        weight_decay_factor=dims.m**c,
        epsilon_factor=dims.m ** -_G[form][column],
    )


def formulas(options: Switches) -> dict[Role, str]:
    """A, B and C as powers of m; sigma is the base's std, 1/sqrt(base fan_in)."""
    form, alignment = str(options["form"]), str(options["alignment"])

    def line(column: int) -> str:
        c = {family: _C[family, alignment][form][column] for family in (_SGD, _ADAM, _ADAFACTOR)}
        return (
            f"A = {_power(_A[form][column])}, B = σ {_power(_B[form][column])}, "
            f"C: {_power(c[_SGD])} (SGD), {_power(c[_ADAM])} (Adam), "
            f"{_power(c[_ADAFACTOR])} (Adafactor)"
        )

    return {role: line(column) for role, column in _COLUMN.items()}


def attention_scale(head_size: int, base_head_size: int, options: Switches) -> float:
    """µP's in the two forms that are µP in other numbers (facts 2.3); else q.k / sqrt(d)."""
    is_mup = options["form"] in ("mup", "mean_field")
    scale = spectral.attention_scale if is_mup else vaswani_scale
    return scale(head_size, base_head_size, options)


def _power(exponent: float) -> str:
    return f"m^{-exponent:g}" if exponent else "1"


EVERETT = Parametrization(
    name="everett",
    title="Per-layer rates (Everett)",
    source="Everett et al. 2024 (Scaling Exponents Across Parametrizations and Optimizers)",
    families=(_SGD, _ADAM, _ADAFACTOR),
    table=table,
    formulas=formulas,
    attention_scale=attention_scale,
)
