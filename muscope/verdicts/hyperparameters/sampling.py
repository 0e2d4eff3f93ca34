"""Points of the unit cube: at random, or spread evenly by a sequence of scipy's."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import qmc

from muscope.tuning import Method


def points(method: Method, dimensions: int, count: int, start: int) -> Sequence[Sequence[float]]:
    """So many points; the same start gives the same ones.

    Sobol's and Halton's sequences are scrambled (Owen): no point lies on an edge, and another start
    gives another sequence that is as even. Sobol's is drawn by a power of two, which the spec has.
    """
    match method:
        case "random":
            drawn = np.random.default_rng(start).random((count, dimensions))
        case "sobol":
            drawn = qmc.Sobol(dimensions, rng=start).random_base2(count.bit_length() - 1)
        case "halton":
            drawn = qmc.Halton(dimensions, rng=start).random(count)
        case _:
            raise ValueError(f"method {method!r} draws nothing")
    found: list[list[float]] = drawn.tolist()
    return found
