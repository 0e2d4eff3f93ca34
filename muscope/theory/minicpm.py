"""MiniCPM's µP (Hu et al. 2024, Table 7)."""

import math

from muscope.theory.rule import VECTORS, Parametrization, Switches, WeightDims, WeightRule
from muscope.vocabulary import Role, UpdateFamily


def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
    """Table 7 (docs/facts.md 2.7); weight decay and epsilon are not scaled there.

    Whether the embedding and the readout count as 2-D tensors is ambiguous in the paper: an option.
    """
    scaled = dims.role is Role.HIDDEN or (options["all_are_2d"] and dims.role not in VECTORS)
    m = dims.m if scaled else 1.0
    return WeightRule(
        multiplier=_multiplier(dims, options),
        init_std=float(options["base_std"]) / math.sqrt(m),
        learning_rate_factor=1 / m,
        weight_decay_factor=1.0,
        epsilon_factor=1.0,
    )


def _multiplier(dims: WeightDims, options: Switches) -> float:
    scales = {Role.EMBEDDING: float(options["scale_emb"]), Role.OUTPUT: 1 / dims.m_in}
    return scales.get(dims.role, 1.0)


def formulas(options: Switches) -> dict[Role, str]:
    """The rows of Table 7."""
    sigma = f"{options['base_std']:g}"
    scaled = f"B = {sigma}/√m, C = 1/m"
    others = scaled if options["all_are_2d"] else f"B = {sigma}, C = 1"
    return {
        Role.EMBEDDING: f"A = {options['scale_emb']:g}, {others}",
        Role.HIDDEN: f"A = 1, {scaled}",
        Role.OUTPUT: f"A = 1/m, {others}",
        Role.VECTOR: "A = 1, B = 0, C = 1",
    }


def residual_multiplier(depth: int, base_depth: int, options: Switches) -> float:
    """scale_depth / sqrt(number of layers), whatever the base depth."""
    return float(options["scale_depth"]) / math.sqrt(depth)


MINICPM = Parametrization(
    name="minicpm",
    title="MiniCPM µP",
    source="Hu et al. 2024 (MiniCPM), Table 7",
    families=(UpdateFamily.SIGN_LIKE,),
    table=table,
    formulas=formulas,
    residual_multiplier=residual_multiplier,
)
