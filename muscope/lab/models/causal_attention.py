"""PyTorch's fused causal attention, for one member and for members under vmap.

It never holds all logits, so it is faster than softmax(q k^T) v and takes less memory. torch has no
batching rule for it; members are more sequences.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional


class _CausalAttention(torch.autograd.Function):
    @staticmethod
    def forward(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        return _attention(query, key, value)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        """Of a member that is stepped alone: computed again."""
        found: tuple[Tensor, ...] = torch.func.vjp(_attention, *ctx.saved_tensors)[1](gradient)
        return found

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int, ...], *inputs: Tensor) -> tuple[Tensor, int]:
        """One call, through which gradients flow as through any other."""
        stacked = [of.movedim(place, 0) for of, place in zip(inputs, in_dims, strict=True)]
        mixed = _attention(*(of.flatten(0, 1) for of in stacked))
        return mixed.view(stacked[0].shape), 0


def causal_attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q k^T) v over (batch, heads, time, elements), where no position sees a later one."""
    mixed: Tensor = _CausalAttention.apply(query, key, value)  # type: ignore[no-untyped-call]
    return mixed


def _attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return functional.scaled_dot_product_attention(query, key, value, is_causal=True, scale=1.0)
