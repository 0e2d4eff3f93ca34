"""What a device does in a second: measured by the lab, kept by workers, read without torch."""

import math
from itertools import pairwise
from typing import TypeAlias

from pydantic import BaseModel, ConfigDict

Curve: TypeAlias = tuple[tuple[float, float], ...]
"""Speeds measured at sizes, smallest size first: (size, speed)."""


class Machine(BaseModel):
    """What a device does in a second, as measured once on the worker."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    device: str
    threads: int
    torch_version: str
    matmul_precision: str
    """What torch multiplies float32 in: `highest`, or `high` where TF32 is allowed."""
    products: Curve
    """FLOP/s of stacked n x n products in float32, by n."""
    products_bfloat16: Curve
    traffic: Curve
    """Bytes/s that an elementwise operation reads and writes, by the bytes of one tensor."""
    eigenvectors: Curve
    """FLOP/s of symmetric eigenvectors in float64, by n, at their nominal count."""
    qr: Curve
    """FLOP/s of QR decompositions, by n, at their nominal count."""
    draws: float
    """Normal numbers drawn per second; always on the host."""
    operation_s: float
    """One small operation of a stacked model: its forward and its backward."""
    is_gpu: bool = False
    """Whether operations are sent ahead to a device, so that sending and computing overlap."""

    @property
    def ceiling(self) -> float:
        """The matrix-product ceiling: the most FLOP/s that a float32 product reached."""
        return max(speed for _, speed in self.products)

    def ceiling_of(self, precision: str) -> float:
        """The ceiling in the format that a run's products are computed in."""
        return max(speed for _, speed in self.products_in(precision))

    def products_in(self, precision: str) -> Curve:
        """The speeds of products in a format; FP8 is simulated in float32."""
        return self.products_bfloat16 if precision == "bfloat16" else self.products


def at(curve: Curve, size: float) -> float:
    """The speed at a size: between two measured ones by powers, beyond the last the last."""
    if size <= curve[0][0]:
        return curve[0][1]
    for (low, slow), (high, fast) in pairwise(curve):
        if size <= high:
            share = math.log(size / low) / math.log(high / low)
            return slow * math.exp(share * math.log(fast / slow))
    return curve[-1][1]
