"""Lingle's µP: Table 3 with exact constants (Lingle 2024, A Large-Scale Exploration)."""

from muscope.theory.rule import Parametrization, Switches, WeightDims, WeightRule
from muscope.vocabulary import Role, UpdateFamily

OPTIM_RULES = ("mup", "abs_mup")


def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
    """Var and LR columns (docs/facts.md 2.8): M is fan_in, P the base's; decay is unscaled."""
    constant = dims.column is Role.EMBEDDING
    output = dims.role is Role.OUTPUT
    divisor = dims.fan_in if options["optim_rule"] == "abs_mup" else dims.m_in
    return WeightRule(
        multiplier=1.0,
        init_std=dims.fan_in ** (-1.0 if output else -0.5),
        learning_rate_factor=1.0 if constant else 1 / divisor,
        weight_decay_factor=1.0,
        epsilon_factor=1.0,
    )


def formulas(options: Switches) -> dict[Role, str]:
    """The exact rows; the paper prints variances, here are standard deviations."""
    divisor = "fan_in" if options["optim_rule"] == "abs_mup" else "m"
    return {
        Role.EMBEDDING: "A = 1, B = 1/√fan_in (a table: 1), C = 1",
        Role.HIDDEN: f"A = 1, B = 1/√fan_in, C = 1/{divisor}",
        Role.OUTPUT: f"A = 1, B = 1/fan_in, C = 1/{divisor}",
        Role.VECTOR: "A = 1, B = 0, C = 1",
    }


def attention_scale(head_size: int, base_head_size: int, options: Switches) -> float:
    """q.k / D."""
    return 1 / head_size


LINGLE = Parametrization(
    name="lingle",
    title="Lingle's µP",
    source="Lingle 2024 (A Large-Scale Exploration of µ-Transfer)",
    families=(UpdateFamily.SIGN_LIKE,),
    table=table,
    formulas=formulas,
    attention_scale=attention_scale,
)
