"""Attention logits, wherever they are made: fused in one kernel, or before a softmax."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

MOST_LOGITS = 16_000_000
"""Of more only those of the first examples are measured."""

MASKED = -9_999.0
"""What lies below is a mask, not a logit: code writes -1e4, -1e9, the least number, infinity."""


def fused(args: Sequence[Any], kwargs: Mapping[str, Any]) -> Tensor:
    """q.k times its scale, of all pairs, from the arguments of scaled_dot_product_attention."""
    query, key = (
        _argument(args, kwargs, place, name) for place, name in enumerate(("query", "key"))
    )
    query, key = query.detach(), key.detach()
    given = kwargs.get("scale")
    scale = 1 / math.sqrt(query.shape[-1]) if given is None else float(given)
    if query.ndim > 2:
        per_example = max(1, query[:1].numel() // query.shape[-1] * key.shape[-2])
        most = max(1, MOST_LOGITS // per_example)
        query, key = query[:most], key[:most]
    if query.ndim == key.ndim == 4 and query.shape[1] != key.shape[1]:  # grouped queries
        key = key.repeat_interleave(query.shape[1] // key.shape[1], dim=1)
    return scale * (query @ key.transpose(-2, -1))


def unmasked(logits: Tensor) -> Tensor:
    """The logits that no mask hides."""
    flat = logits.detach()
    return flat[flat > MASKED] if bool((flat <= MASKED).any()) else flat


def operands(name: str, args: Sequence[Any]) -> tuple[Tensor, Tensor] | None:
    """The two tensors that a product of activations multiplies, None where it is something else."""
    found = [part for part in _flat(args) if isinstance(part, Tensor)]
    pair = found[1:3] if name == "baddbmm" else found[:2]
    if len(pair) < 2 or any(part.ndim < 3 or _is_weight(part) for part in pair):
        return None
    return pair[0], pair[1]


def _is_weight(tensor: Tensor) -> bool:
    return tensor.is_leaf and tensor.requires_grad


def _flat(args: Sequence[Any]) -> list[Any]:
    return [part for arg in args for part in (arg if isinstance(arg, list | tuple) else (arg,))]


def _argument(args: Sequence[Any], kwargs: Mapping[str, Any], place: int, name: str) -> Tensor:
    value = args[place] if place < len(args) else kwargs[name]
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} of an attention is no tensor")
    return value


def head_size(args: Sequence[Any]) -> int | None:
    """Of a call of multi_head_attention_forward(query, key, value, width, heads, …)."""
    sizes = args[3:5]
    return sizes[0] // sizes[1] if len(sizes) == 2 else None


class InsideAttention(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's hook
    """Sees the kernels of nn.MultiheadAttention, whose Python functions hide their calls."""

    def __init__(self, take: Callable[[Tensor, int | None], None], head_size: int | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no annotation here
        self._take, self._head_size = take, head_size

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if name.startswith("_scaled_dot_product") and "backward" not in name:
            self._take(fused(args, kwargs), self._head_size)
        elif name in ("_softmax", "_safe_softmax") and args[0].ndim >= 3:
            self._take(unmasked(args[0]), self._head_size)
        return func(*args, **kwargs)
