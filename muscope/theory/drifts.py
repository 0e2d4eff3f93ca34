"""How the best learning rate of the base moves, in octaves per doubling, where that is known.

Over width it stays under every rule that is µP's, or spectral µP's or u-µP's, with the options that
it has; over depth there is one rule for branches of two matrices, which all models here have that
have branches (Depth-µP is for one matrix; with two its rate does not transfer). Over batch size
there is a rule of practice; over sequence length and the number of steps there is none (facts 2.10,
2.11, 7.1).
"""

from dataclasses import dataclass

from muscope.theory.expected.rows import row
from muscope.theory.rule import Switches
from muscope.vocabulary import Axis, UpdateFamily


@dataclass(frozen=True, slots=True)
class ExpectedDrift:
    """Octaves per doubling of an axis, and who says so."""

    slope: float
    source: str


_KEEPS_WIDTH = ("mup", "u_mup", "spectral")
"""Rows of facts 5.1 whose updates keep their size at one rate of the base."""
_TENSOR_PROGRAMS = "Yang et al. 2022 (Tensor Programs V)"


def expected_drift(
    axis: Axis, parametrization: str, family: UpdateFamily, options: Switches
) -> ExpectedDrift | None:
    """What is expected of a variant over an axis; None where nothing is known."""
    is_sign_like = family is UpdateFamily.SIGN_LIKE
    match axis:
        case Axis.WIDTH if row(parametrization, options, family) in _KEEPS_WIDTH:
            return ExpectedDrift(0.0, _TENSOR_PROGRAMS)
        case Axis.WIDTH if parametrization == "sp" and is_sign_like:
            return ExpectedDrift(-1.0, _TENSOR_PROGRAMS)
        case Axis.DEPTH if parametrization == "complete_p" and float(options["alpha"]) == 1:
            return ExpectedDrift(0.0, "Dey et al. 2025 (CompleteP)")
        case Axis.BATCH if is_sign_like:
            return ExpectedDrift(0.5, "the square-root rule of practice, as in Lingle 2024")
        case _:
            return None
