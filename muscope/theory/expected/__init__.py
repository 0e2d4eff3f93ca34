"""What theory expects: exponents of width and depth, the tolerance of *flat*, legal exceptions.

Everything here is a table or a derivation with its source (docs/facts.md, section 5; the letters
are Tensor Programs V and the measurements made for this project). What no source gives is None.
"""

from muscope.theory.expected.coordinates import (
    TOLERANCE,
    Coordinates,
    Expectation,
    LegalException,
    Powers,
)
from muscope.theory.expected.exceptions import legal_exception
from muscope.theory.expected.in_depth import DEPTH_TOLERANCE, depth, depth_scheme, is_early
from muscope.theory.expected.rows import row
from muscope.theory.expected.standards import (
    Standard,
    expectation,
    on_batch_size,
    on_depth,
    on_step,
    on_width,
)

__all__ = [
    "DEPTH_TOLERANCE",
    "TOLERANCE",
    "Coordinates",
    "Expectation",
    "LegalException",
    "Powers",
    "Standard",
    "depth",
    "depth_scheme",
    "expectation",
    "is_early",
    "legal_exception",
    "on_batch_size",
    "on_depth",
    "on_step",
    "on_width",
    "row",
]
