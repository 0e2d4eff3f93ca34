"""The statistics of an activation, per member of a stack."""

from collections.abc import Mapping

import torch
from torch import Tensor

Activations = Mapping[str, Tensor]
"""By name; the leading dimension of each tensor counts the members."""


def statistics(now: Activations, first: Activations) -> Tensor:
    """l1, rms and change since `first` of every activation: (members, activations, 3), float64.

    Right to a relative 1e-6: float32 sums stay short or pairwise. rms is infinite beyond 1e19,
    whose square float32 cannot hold.
    """
    return torch.stack([_statistics(now[name], first[name]) for name in now], dim=1)


def _statistics(now: Tensor, first: Tensor) -> Tensor:
    """mean |x_t|, sqrt(mean x_t^2), mean |x_t - x_0|: (members, 3)."""
    l1 = now.flatten(1).abs().mean(1).double()
    # The norm of a row is faster than a sum of squares; the rows are added up in float64.
    rows = torch.linalg.vector_norm(now, dim=-1).flatten(1).double()  # (members, rows)
    rms = (rows.square().mean(1) / now.shape[-1]).sqrt()
    change = (now - first).abs_().flatten(1).mean(1).double()
    return torch.stack((l1, rms, change), dim=1)
