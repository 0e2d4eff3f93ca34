"""A matrix times its inputs, whose gradient lies in memory as the matrix does.

torch's own product of stacked matrices gives gradients transposed; an update that reads weight and
gradient side by side then takes several times as long. Of small matrices both are in the cache,
and a function of our own costs more than it saves (docs/benchmarks.md).
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

LARGE = 2**15
"""Elements of one member's matrix from which the order in memory matters, as measured."""


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(inputs: Tensor, weight: Tensor) -> Tensor:
        return inputs @ weight.mT

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor]:
        inputs, weight = ctx.saved_tensors
        of_inputs = gradient @ weight if ctx.needs_input_grad[0] else None
        return of_inputs, gradient.mT @ inputs

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, int], inputs: Tensor, weight: Tensor
    ) -> tuple[Tensor, int]:
        """Members first; inputs that all of them share are not copied for each."""
        place, of_weight = in_dims
        if place is None:
            stacked = inputs.expand(info.batch_size, *inputs.shape)
        else:
            stacked = inputs.movedim(place, 0)
        return _linear(stacked, weight.movedim(of_weight, 0)), 0


def linear(inputs: Tensor, weight: Tensor) -> Tensor:
    """x W^T of inputs (n, fan_in) and a weight (fan_out, fan_in)."""
    if weight.numel() < LARGE:
        return functional.linear(inputs, weight)
    device = weight.device.type
    if torch.is_autocast_enabled(device):
        # The backward is computed outside of it, so both have to be cast here.
        dtype = torch.get_autocast_dtype(device)
        inputs, weight = inputs.to(dtype), weight.to(dtype)
    return _linear(inputs, weight)


def _linear(inputs: Tensor, weight: Tensor) -> Tensor:
    found: Tensor = _Linear.apply(inputs, weight)  # type: ignore[no-untyped-call]
    return found
