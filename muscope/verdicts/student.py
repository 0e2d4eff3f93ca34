"""Student's t without a numeric library: the server compares, and imports neither numpy nor scipy.

The tail is half the incomplete beta function I_x(f/2, 1/2) at x = f / (f + t²), by its continued
fraction (Abramowitz & Stegun 1964, 26.5.8 and 26.7.1); the quantile is found by Newton's steps,
within a bracket.
"""

import math
import statistics
from collections.abc import Sequence
from functools import lru_cache

TINY = 1e-300
CLOSE = 4e-16
MOST_TERMS = 1_000
MOST_STEPS = 200
"""More than halving a bracket to the last place of a double takes."""


def tail(freedom: float, t: float) -> float:
    """P(T > t) for Student's t with so many degrees of freedom, not necessarily whole."""
    if t < 0:
        return 1 - tail(freedom, -t)
    return _beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2


@lru_cache(maxsize=4096)
def quantile(freedom: float, confidence: float) -> float:
    """How many standard errors an interval of that confidence reaches to either side."""
    wanted = (1 - confidence) / 2
    low, high = 0.0, 1.0
    while tail(freedom, high) > wanted:
        low, high = high, 2 * high
    found = (low + high) / 2
    for _ in range(MOST_STEPS):
        excess = tail(freedom, found) - wanted
        low, high = (found, high) if excess > 0 else (low, found)
        step = found + excess / _density(freedom, found)
        before, found = found, step if low < step < high else (low + high) / 2
        if abs(found - before) <= CLOSE * found:
            break
    return found


def half_width(values: Sequence[float], confidence: float) -> float | None:
    """t s / sqrt(n): how far the interval of a mean reaches; None of fewer than two values."""
    if len(values) < 2:
        return None
    error = statistics.stdev(values) / math.sqrt(len(values))
    return quantile(len(values) - 1, confidence) * error


def standard_error(low: float, high: float, *, seeds: int, confidence: float) -> float:
    """What an interval over so many seeds was made of."""
    return (high - low) / 2 / quantile(seeds - 1, confidence)


def _density(freedom: float, t: float) -> float:
    """Of Student's t: the slope of the tail, for Newton's step."""
    logarithm = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)
    logarithm -= (freedom + 1) / 2 * math.log1p(t * t / freedom)
    return math.exp(logarithm) / math.sqrt(freedom * math.pi)


def _beta(a: float, b: float, x: float) -> float:
    """The regularized incomplete beta function I_x(a, b)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    # the fraction converges fast only on this side
    if x < (a + 1) / (a + b + 2):
        return front * _fraction(a, b, x) / a
    return 1 - front * _fraction(b, a, 1 - x) / b


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction, by Lentz's method."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    found = d
    for m in range(1, MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            found *= c * d
        if abs(c * d - 1) < CLOSE:
            break
    return found


def _away(value: float) -> float:
    """Not zero: it will be divided by."""
    return value if abs(value) > TINY else TINY
