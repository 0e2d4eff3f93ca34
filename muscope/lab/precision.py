"""In which format a run computes: float32, bfloat16 by autocast, or FP8 simulated in float32.

A precision is a product and a context, so that plain and unit-scaled operators take any of them.
Weights and updates are float32 in all three.

Simulated FP8 (OCP; Micikevicius et al. 2022) rounds both operands of a product with a weight and
the gradient with respect to its output, and nothing else: attention's own products, norms, the
stream, softmax and loss stay in float32, and so does an embedding, which is looked up. Operands are
E4M3, but those that u-µP's authors saw grow in training are E5M2: the inputs of attention's and the
feed-forward's last matrix, and the readout's weight (docs/facts.md 6). Nothing is rescaled.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from muscope.catalogue import MODELS, WeightEntry, WeightKind
from muscope.lab import probes
from muscope.lab.environment import device
from muscope.lab.models.operators import Product, product
from muscope.lab.probes import Comparison
from muscope.spec import RunSpec
from muscope.vocabulary import Role, Statistic, TensorKind


@dataclass(frozen=True, slots=True)
class Format:
    """A floating-point format by its largest number and smallest positive ones."""

    dtype: torch.dtype
    largest: float
    smallest_normal: float
    smallest: float


E4M3 = Format(torch.float8_e4m3fn, 448.0, 2.0**-6, 2.0**-9)
E5M2 = Format(torch.float8_e5m2, 57_344.0, 2.0**-14, 2.0**-16)

FORMATS: Mapping[TensorKind, Format] = {
    TensorKind.ACTIVATION: E4M3,
    TensorKind.WEIGHT: E4M3,
    TensorKind.GRADIENT: E5M2,
}
"""What a tensor of a kind would be cast to; updates are not cast."""

GROWING_INPUTS = ("attention.o", "mlp.down")
"""The matrices whose inputs nothing holds at unit size during training."""


def rounded(values: Tensor, to: Format) -> Tensor:
    """The nearest number of a format, ties to even; what is beyond it becomes its largest."""
    # Casts differ between devices beyond the largest number: one saturates, one gives NaN.
    near = values.clamp(-to.largest, to.largest).to(to.dtype)
    return near.to(values.dtype)


def overflow(values: Tensor, to: Format) -> Tensor:
    """The fraction of numbers beyond the largest: (members, ...) to (members,)."""
    beyond, zeros = probes.counts(values, (_beyond(to), _ZERO))
    return _fraction(values, beyond, zeros)


def subnormal(values: Tensor, to: Format) -> Tensor:
    """The fraction that keeps fewer digits, from the smallest number to the smallest normal."""
    borders = ((torch.lt, to.smallest_normal), (torch.lt, to.smallest), _ZERO)
    below, tiny, zeros = probes.counts(values, borders)
    return _fraction(values, below - tiny, zeros)


def underflow(values: Tensor, to: Format) -> Tensor:
    """The fraction that rounds to zero, up to half the smallest number."""
    rounded_away, zeros = probes.counts(values, (_tiny(to), _ZERO))
    return _fraction(values, rounded_away - zeros, zeros)


def lost(kind: TensorKind, tensors: Sequence[Tensor], largest: Tensor) -> dict[Statistic, Tensor]:
    """Of several tensors the two fractions that their kind's format decides: (tensors, members).

    `largest` is max |x| of each: a CPU counts no overflow where there is none. Of what holds a nan
    they mean nothing.
    """
    to = FORMATS[kind]
    elements = _lengths(tuple(of[0].numel() for of in tensors), largest.device)
    has_none_beyond = tensors[0].device.type == "cpu" and bool((largest <= to.largest).all())
    borders = (_ZERO, _tiny(to), *(() if has_none_beyond else (_within(to),)))
    counted = torch.stack([torch.stack(probes.counts(of, borders)) for of in tensors])
    zeros, rounded_away = counted[:, 0], counted[:, 1]
    beyond = torch.zeros_like(zeros) if has_none_beyond else elements - counted[:, 2]
    present = (elements - zeros).clamp(min=1.0)
    return {
        Statistic.UNDERFLOW: (rounded_away - zeros) / present,
        Statistic.OVERFLOW: beyond / present,
    }


@lru_cache(maxsize=1024)
def _lengths(elements: tuple[int, ...], device: torch.device) -> Tensor:
    """As a column; made once, for a GPU waits for what comes from the host."""
    return torch.tensor(elements, dtype=torch.float64, device=device)[:, None]


_ZERO: Comparison = (torch.le, 0.0)


def _tiny(to: Format) -> Comparison:
    return torch.le, to.smallest / 2


def _within(to: Format) -> Comparison:
    return torch.le, to.largest


def _beyond(to: Format) -> Comparison:
    return torch.gt, to.largest


def _fraction(values: Tensor, counted: Tensor, zeros: Tensor) -> Tensor:
    """Of what is not exactly zero, so that zeros from a mask hide nothing; 0 of nothing."""
    return counted / (values[0].numel() - zeros).clamp(min=1.0)


class _Rounding(torch.autograd.Function):
    """Rounds the forward, the backward, or both; the gradient passes straight through."""

    @staticmethod
    def forward(values: Tensor, forward: Format | None, backward: Format | None) -> Tensor:
        return rounded(values, forward) if forward else values.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.format = inputs[2]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        return rounded(gradient, ctx.format) if ctx.format else gradient, None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], values: Tensor, *formats: Format | None
    ) -> tuple[Tensor, int | None]:
        """Every number by itself, wherever the members are."""
        forward, backward = formats
        return _rounding(values, forward=forward, backward=backward), in_dims[0]


def _rounding(
    values: Tensor, *, forward: Format | None = None, backward: Format | None = None
) -> Tensor:
    found: Tensor = _Rounding.apply(values, forward, backward)  # type: ignore[no-untyped-call]
    return found


def fp8_product(entry: WeightEntry, values: Tensor, inputs: Tensor) -> Tensor:
    """`product` of rounded operands, whose gradient is rounded too before it meets them."""
    if entry.kind is WeightKind.TABLE:
        return product(entry, values, inputs)
    weight = _rounding(values, forward=E5M2 if entry.role is Role.OUTPUT else E4M3)
    operand = _rounding(inputs, forward=E5M2 if entry.part in GROWING_INPUTS else E4M3)
    return _rounding(product(entry, weight, operand), backward=E5M2)


def _bfloat16() -> AbstractContextManager[Any]:
    """Products in bfloat16; without the cache, which would keep casts of one member's weights."""
    return torch.autocast(device().type, dtype=torch.bfloat16, cache_enabled=False)


@dataclass(frozen=True, slots=True)
class Precision:
    """How products of weights are computed, and the context of a forward."""

    product: Product = product
    computing: Callable[[], AbstractContextManager[Any]] = nullcontext


PRECISIONS: Mapping[str, Precision] = {
    "float32": Precision(),
    "bfloat16": Precision(computing=_bfloat16),
    "fp8": Precision(product=fp8_product),
}
"""By the words of the models' option."""


def of(run: RunSpec) -> Precision:
    """The precision that a run asks for."""
    model = run.variant.model
    return PRECISIONS[str(MODELS[model.name].complete(dict(model.options))["precision"])]
