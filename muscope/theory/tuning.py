"""The multipliers that people tune beside the rules: one number each, at every width and depth.

A rule says how a number scales, and not which it is in the base model: that is a hyperparameter,
tuned on a small model and taken along (Yang et al. 2022, section 4). u-µP has its own.
"""

from collections.abc import Mapping

INIT_STD = "init_std_multiplier"
EMBEDDING = "embedding_multiplier"
ATTENTION = "attention_multiplier"
READOUT = "readout_multiplier"
RESIDUAL = "residual_multiplier"


def factor(options: Mapping[str, bool | int | float | str], name: str) -> float:
    """A multiplier among the options of a parametrization; 1 where there is none."""
    return float(options.get(name, 1.0))
