"""The diagonal of the Gauss-Newton matrix, from labels that the model itself draws.

Liu et al. 2023, Algorithm 2 (Gauss-Newton-Bartlett): let g^ be the gradient of the mean
cross-entropy of B predictions, on labels drawn from the model's own softmax. Then B g^ * g^ is the
diagonal of the loss's Gauss-Newton matrix in expectation.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from muscope.lab import streams


def drawn_labels(logits: Tensor, *, seeds: Sequence[int], step: int) -> Tensor:
    """A class for every prediction, from the softmax of logits (members, ..., classes).

    By Gumbel's trick: the largest of logits plus noise. A member's noise is decided by its seed and
    the step, so that it draws the same alone, in a stack, and every time.
    """
    shape = logits.shape[1:]
    noise = {seed: _gumbel(shape, stream=f"labels:{seed}:{step}") for seed in set(seeds)}
    stacked = torch.stack([noise[seed] for seed in seeds])
    return (logits.detach() + stacked.to(logits.device)).argmax(-1)  # (members, ...)


def diagonal(gradient: Tensor, labels: Tensor) -> Tensor:
    """B g^ * g^ of one weight, given the labels (members, ...) that the gradient g^ is of."""
    predictions = labels[0].numel()  # one per example, or one per token
    return predictions * gradient.square()


def _gumbel(shape: torch.Size, *, stream: str) -> Tensor:
    """-log of exponential numbers: (..., classes)."""
    return torch.empty(shape).exponential_(generator=streams.generator(stream)).log_().neg_()
