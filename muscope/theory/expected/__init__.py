"""What theory expects: exponents of width and depth, the tolerance of *flat*, legal exceptions.

Everything here is a table or a derivation with its source (docs/facts.md, section 5; the letters
are Tensor Programs V and the measurements made for this project). What no source gives is None.
"""

from muscope.theory.expected import activations, weights
from muscope.theory.expected.coordinates import (
    TOLERANCE,
    Coordinates,
    Expectation,
    LegalException,
    Powers,
)
from muscope.theory.expected.exceptions import legal_exception
from muscope.theory.expected.in_depth import DEPTH_TOLERANCE, depth, depth_scheme
from muscope.theory.expected.rows import row
from muscope.vocabulary import TensorKind

__all__ = [
    "DEPTH_TOLERANCE",
    "TOLERANCE",
    "Coordinates",
    "Expectation",
    "LegalException",
    "Powers",
    "depth",
    "depth_scheme",
    "expectation",
    "legal_exception",
    "row",
]


def expectation(at: Coordinates) -> Expectation:
    """The exponent of width that theory expects of one tensor at one step."""
    if at.kind is TensorKind.ACTIVATION:
        return activations.expectation(at)
    return weights.expectation(at)
