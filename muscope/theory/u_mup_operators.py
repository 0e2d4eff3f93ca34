"""The scales of u-µP's operators, by which unit-size inputs give unit-size outputs and gradients.

Per operator (forward, backward) factors at the multiplier `mult` of its input, as in graphcore's
unit-scaling a7b5b3c, functional.py (docs/facts.md 2.9).
"""

import math


def log_interpolate(a: float, lower: float, upper: float) -> float:
    """LI(a, lower, upper) = exp(a ln upper + (1 - a) ln lower)."""
    return math.exp(a * math.log(upper) + (1 - a) * math.log(lower))


def linear(fan_in: int, fan_out: int) -> tuple[float, float]:
    """y = W x; the backward factor is that of x before a constraint replaces it."""
    return 1 / math.sqrt(fan_in), 1 / math.sqrt(fan_out)


def linear_readout(fan_in: int, fan_out: int) -> tuple[float, float]:
    """The readout: 1 / fan_in forward only."""
    return 1 / fan_in, 1 / math.sqrt(fan_out)


def weight_gradient(uses: int) -> float:
    """The gradient of a matrix or bias that `uses` rows of the batch share."""
    return 1 / math.sqrt(uses)


def table_gradient(rows: int, uses: int) -> float:
    """The gradient of a table of that many rows, looked up `uses` times."""
    return math.sqrt(rows / uses)


def gain_gradient(size: int, elements: int) -> float:
    """The gradient of `size` gains that multiply that many elements."""
    return math.sqrt(size / elements)


def relu() -> tuple[float, float]:
    """max(x, 0), the limit of `gelu` and `silu` at a large mult: their upper bounds."""
    return math.sqrt(2 / (1 - 1 / math.pi)), math.sqrt(2)


def gelu(mult: float = 1.0) -> tuple[float, float]:
    """gelu(mult x) / mult."""
    a = 1 / (1 + 0.25 / mult**2)
    forward = log_interpolate(a, 2, math.sqrt(2 / (1 - 1 / math.pi)))
    return forward, log_interpolate(a, 2, math.sqrt(2))


def silu(mult: float = 1.0) -> tuple[float, float]:
    """x sigmoid(mult x)."""
    forward = log_interpolate(1 / (1 + 0.25 / mult**2), 2, math.sqrt(2 / (1 - 1 / math.pi)))
    return forward, log_interpolate(1 / (1 + 1 / mult**2), 2, math.sqrt(2))


def silu_glu(mult: float = 1.0) -> tuple[float, float]:
    """x g sigmoid(mult g): one factor for the output and both gradients."""
    factor = log_interpolate(1 / (1 + 1 / mult**2), 2, math.sqrt(2))
    return factor, factor


def softmax(entries: int, mult: float = 1.0) -> tuple[float, float]:
    """softmax(mult x) over that many entries."""
    a = 1 / (1 + 4 / mult**2)
    forward = log_interpolate(a, entries, math.sqrt(entries))
    return forward, log_interpolate(a, entries / mult, math.sqrt(entries / mult))


def attention(
    head_size: int, sequence: int, *, mult: float = 1.0, dropout: float = 0.0, causal: bool = True
) -> tuple[float, float]:
    """softmax(mult q.k / head_size) v: one factor for the output and the gradients of q, k, v."""
    seen = math.log(sequence) if causal else 1.0
    a = 1 / (1 + 4 * head_size / mult**2)
    factor = math.sqrt(1 - dropout) / log_interpolate(a, math.sqrt(seen / sequence), 1)
    return factor, factor


def cross_entropy(vocabulary: int) -> float:
    """The backward factor of the logits; forward is the mean over the batch."""
    return vocabulary / math.sqrt(vocabulary - 1)


def squared_error() -> float:
    """The backward factor of what a mean squared error compares; forward is the mean."""
    return 1 / math.sqrt(8)


def add() -> float:
    """The forward factor of the sum of two tensors."""
    return 1 / math.sqrt(2)
