"""The mean cross-entropy, whose backward is the softmax less one at the target.

torch's under vmap writes a tensor of zeros as large as the logits, puts one number into each row,
and reads both again. Of few logits that costs less than a function of our own does.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

LARGE = 2**15
"""Logits of one member from which ours is faster, as measured."""


class _CrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        logs = logits.log_softmax(-1)
        return 0.0 - logs.gather(-1, targets[..., None])[..., 0].mean(-1), logs

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, ...]) -> None:
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(output[1], inputs[1])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: None) -> tuple[Tensor, None]:
        logs, targets = ctx.saved_tensors
        each = (gradient / targets.shape[-1])[..., None, None]
        less = -each.expand(*targets.shape, 1)
        return (logs.exp() * each).scatter_add(-1, targets[..., None], less), None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int, int | None], logits: Tensor, targets: Tensor
    ) -> tuple[tuple[Tensor, Tensor], tuple[int, int]]:
        """Members first, all in one call."""
        if in_dims[1] is None:
            targets = targets.expand(info.batch_size, *targets.shape)
        else:
            targets = targets.movedim(in_dims[1], 0)
        return _CrossEntropy.apply(logits.movedim(in_dims[0], 0), targets), (0, 0)  # type: ignore[no-untyped-call]


def cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean over logits (n, classes) and targets (n,): a scalar."""
    if logits.numel() < LARGE:
        return functional.cross_entropy(logits, targets)
    loss: Tensor = _CrossEntropy.apply(logits, targets)[0]  # type: ignore[no-untyped-call]
    return loss
