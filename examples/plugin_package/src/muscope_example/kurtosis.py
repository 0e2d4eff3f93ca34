"""Kurtosis: how heavy the tails of a tensor are; 3 for normal numbers."""

from torch import Tensor

from muscope.plugins import Plugin


def kurtosis(values: Tensor) -> Tensor:
    """mean (x - mean)^4 / var^2 of every member: (members, ...) becomes (members,)."""
    rows = values.flatten(1).double()
    squares = (rows - rows.mean(1, keepdim=True)).square()
    return squares.square().mean(1) / squares.mean(1).square()


KURTOSIS = Plugin(
    "statistic",
    kurtosis,
    title="Kurtosis",
    help="The fourth moment over the squared variance: 3 for normal numbers.",
    of=["activation", "gradient"],
)
