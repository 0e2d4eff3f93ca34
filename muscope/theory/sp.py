"""SP, the standard parametrization: one learning rate for every weight."""

import math

from muscope.theory.rule import Parametrization, Switches, WeightDims, WeightRule
from muscope.vocabulary import Role, UpdateFamily

INITS = ("lecun", "he", "pytorch", "gpt2")


def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
    """Nothing but the initialization depends on width (docs/facts.md 2.1)."""
    return WeightRule(
        multiplier=1.0,
        init_std=_init_std(dims, str(options["init"])),
        learning_rate_factor=1.0,
        weight_decay_factor=1.0,
        epsilon_factor=1.0,
    )


def _init_std(dims: WeightDims, init: str) -> float:
    """Columns b (LeCun; He), a (PyTorch) and c (GPT-2) of facts 2.1; a lookup table has std 1."""
    if init == "gpt2":
        return 0.02 / math.sqrt(2 * dims.depth) if dims.writes_stream else 0.02
    if init == "pytorch" and dims.fan_in > 1:
        return 1 / math.sqrt(3 * dims.fan_in)
    if init == "he" and dims.role is Role.HIDDEN:
        return math.sqrt(2 / dims.fan_in)
    return float(dims.fan_in**-0.5)


_STD = {
    "lecun": "1/√fan_in",
    "he": "1/√fan_in, √(2/fan_in) if hidden",
    "pytorch": "1/√(3 fan_in), 1 for a lookup table",
    "gpt2": "0.02, 0.02/√(2 depth) if it writes into the stream",
}


def formulas(options: Switches) -> dict[Role, str]:
    """The same row for every role."""
    line = f"A = 1, B = {_STD[str(options['init'])]}, C = 1"
    rows = dict.fromkeys((Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT), line)
    return {**rows, Role.VECTOR: "A = 1, B = 0, C = 1"}


SP = Parametrization(
    name="sp",
    title="SP",
    source="standard parametrization, LeCun et al. 1998 initialization",
    families=tuple(UpdateFamily),
    table=table,
    formulas=formulas,
)
