"""u-µP's operators and residual scheme against unit-scaling's."""

from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as plain

from muscope.theory import u_mup, u_mup_operators
from tests.originals.comparison import Comparison, furthest
from tests.originals.unit_scaling_twins import factors, normal, unit_scaling
from tests.originals.unit_scaling_twins import functional as scaled

VERSION = unit_scaling.__version__
MULTS = (0.5, 1.0, 3.0)
TOKENS, FAN_IN, FAN_OUT, VOCABULARY = 24, 16, 40, 50


def linear() -> float:
    """Output, gradients of input and of weight and bias; unconstrained and as by default."""
    inputs = normal(TOKENS, FAN_IN), normal(FAN_OUT, FAN_IN, seed=1), normal(FAN_OUT, seed=2)
    forward, backward = u_mup_operators.linear(FAN_IN, FAN_OUT)
    shared = u_mup_operators.weight_gradient(TOKENS)
    expected = {None: backward, "to_output_scale": forward}
    return furthest(
        pair
        for constraint, of_input in expected.items()
        for pair in zip(
            (forward, of_input, shared, shared),
            factors(partial(scaled.linear, constraint=constraint), plain.linear, *inputs),
            strict=True,
        )
    )


def linear_readout() -> float:
    """Output, gradients of input and of weight."""
    forward, backward = u_mup_operators.linear_readout(FAN_IN, FAN_OUT)
    inputs = normal(TOKENS, FAN_IN), normal(FAN_OUT, FAN_IN, seed=1)
    found = factors(partial(scaled.linear_readout, bias=None), plain.linear, *inputs)
    ours = forward, backward, u_mup_operators.weight_gradient(TOKENS)
    return furthest(zip(ours, found, strict=True))


def embedding() -> float:
    """Output, gradient of the table."""
    tokens = torch.arange(TOKENS).view(2, -1) % VOCABULARY
    found = factors(
        lambda table: scaled.embedding(tokens, table),
        lambda table: plain.embedding(tokens, table),
        normal(VOCABULARY, FAN_OUT),
    )
    return furthest(
        zip((1.0, u_mup_operators.table_gradient(VOCABULARY, TOKENS)), found, strict=True)
    )


def rms_norm() -> float:
    """Output, gradients of input and gain."""
    return _norm(partial(scaled.rms_norm, normalized_shape=(FAN_IN,)), _rms_norm, gains=1)


def layer_norm() -> float:
    """Output, gradients of input, gain and bias."""
    shape = {"normalized_shape": (FAN_IN,)}
    return _norm(partial(scaled.layer_norm, **shape), partial(plain.layer_norm, **shape), gains=2)


def _rms_norm(inputs: Tensor, *, weight: Tensor) -> Tensor:
    """As theirs without scales, which takes the mean in float32."""
    mean = inputs.float().square().mean(-1, keepdim=True)
    return inputs / (mean + 1e-5).sqrt().to(inputs.dtype) * weight


def _norm(theirs: Any, unscaled: Any, *, gains: int) -> float:
    names = ("weight", "bias")[:gains]
    found = factors(
        lambda x, *vectors: theirs(x, **dict(zip(names, vectors, strict=True))),
        lambda x, *vectors: unscaled(x, **dict(zip(names, vectors, strict=True))),
        normal(TOKENS, FAN_IN),
        *(normal(FAN_IN, seed=seed) for seed in range(1, gains + 1)),
    )
    shared = u_mup_operators.gain_gradient(FAN_IN, TOKENS * FAN_IN)
    return furthest(zip((1.0, 1.0, *(shared,) * gains), found, strict=True))


def mse_loss() -> float:
    """The mean over all entries, and both gradients against those of the sum."""
    found = factors(
        scaled.mse_loss,
        partial(plain.mse_loss, reduction="sum"),
        normal(TOKENS, FAN_OUT),
        normal(TOKENS, FAN_OUT, seed=1),
    )
    backward = u_mup_operators.squared_error()
    return furthest(zip((1 / (TOKENS * FAN_OUT), backward, backward), found, strict=True))


def relu() -> float:
    """They have none: the limit of their GELU."""
    theirs = partial(scaled.gelu, mult=1e9, constraint=None)
    return furthest(
        zip(
            u_mup_operators.relu(),
            factors(theirs, plain.relu, normal(TOKENS, FAN_IN)),
            strict=True,
        )
    )


def gelu() -> float:
    """gelu(mult x) / mult, at several mult."""

    def unscaled(x: Tensor, mult: float) -> Tensor:
        return plain.gelu(mult * x) / mult

    return _elementwise(u_mup_operators.gelu, scaled.gelu, unscaled)


def silu() -> float:
    """x sigmoid(mult x), at several mult."""

    def unscaled(x: Tensor, mult: float) -> Tensor:
        return x * torch.sigmoid(mult * x)

    return _elementwise(u_mup_operators.silu, scaled.silu, unscaled)


def softmax() -> float:
    """softmax(mult x), at several mult."""

    def unscaled(x: Tensor, mult: float) -> Tensor:
        return plain.softmax(mult * x, -1)

    return _elementwise(
        partial(u_mup_operators.softmax, FAN_IN), partial(scaled.softmax, dim=-1), unscaled
    )


def _elementwise(ours: Any, theirs: Any, unscaled: Any) -> float:
    """Without the constraint, which sets the backward factor to that of the output."""
    return furthest(
        pair
        for mult in MULTS
        for pair in zip(
            ours(mult=mult),
            factors(
                partial(theirs, mult=mult, constraint=None),
                partial(unscaled, mult=mult),
                normal(TOKENS, FAN_IN),
            ),
            strict=True,
        )
    )


def silu_glu() -> float:
    """x g sigmoid(mult g): output, both gradients."""

    def unscaled(x: Tensor, gate: Tensor, mult: float) -> Tensor:
        return x * gate * torch.sigmoid(mult * gate)

    inputs = normal(TOKENS, FAN_IN), normal(TOKENS, FAN_IN, seed=1)

    def pairs(mult: float) -> Iterator[tuple[float, float]]:
        forward, backward = u_mup_operators.silu_glu(mult)
        found = factors(partial(scaled.silu_glu, mult=mult), partial(unscaled, mult=mult), *inputs)
        return zip((forward, backward, backward), found, strict=True)

    return furthest(pair for mult in MULTS for pair in pairs(mult))


def attention() -> float:
    """Output and the gradients of q, k, v; causal and not, at several mult."""
    head_size = 8
    inputs = tuple(normal(2, 3, TOKENS, head_size, seed=seed) for seed in range(3))

    def pairs(mult: float, causal: bool) -> Iterator[tuple[float, float]]:
        forward, backward = u_mup_operators.attention(head_size, TOKENS, mult=mult, causal=causal)
        found = factors(
            partial(scaled.scaled_dot_product_attention, is_causal=causal, mult=mult),
            partial(plain.scaled_dot_product_attention, is_causal=causal, scale=mult / head_size),
            *inputs,
        )
        return zip((forward, *(backward,) * 3), found, strict=True)

    return furthest(pair for case in product(MULTS, (True, False)) for pair in pairs(*case))


def cross_entropy() -> float:
    """The mean loss, and the gradient of the logits against that of the summed loss."""
    logits, targets = normal(TOKENS, VOCABULARY), torch.arange(TOKENS)

    def pairs(mult: float) -> Iterator[tuple[float, float]]:
        ours = 1 / TOKENS, u_mup_operators.cross_entropy(VOCABULARY) / mult
        found = factors(
            lambda x: scaled.cross_entropy(x, targets, mult=mult),
            lambda x: plain.cross_entropy(mult * x, targets, reduction="sum"),
            logits,
        )
        return zip(ours, found, strict=True)

    return furthest(pair for mult in MULTS for pair in pairs(mult))


def add() -> float:
    """Both tensors of one shape: the constraint gives the gradients the factor of the output."""
    found = factors(scaled.add, torch.add, normal(TOKENS, FAN_IN), normal(TOKENS, FAN_IN, seed=1))
    return furthest((u_mup_operators.add(), theirs) for theirs in found)


def residual() -> float:
    """The taus of every branch, and the shares of branch and stream that follow from each."""
    return furthest(
        pair
        for branches, alpha_res, alpha_ratio in product((2, 4, 16), (0.5, 1.0, 2.0), (0.5, 1.0, 4))
        for pair in _residual_pairs(branches, alpha_res, alpha_ratio)
    )


def _residual_pairs(
    branches: int, alpha_res: float, alpha_ratio: float
) -> Iterator[tuple[float, float]]:
    rule = unit_scaling.transformer_residual_scaling_rule(alpha_res, alpha_ratio)
    taus = u_mup.residual_taus(branches, alpha_res=alpha_res, alpha_ratio=alpha_ratio)
    for index, tau in enumerate(taus):
        yield tau, rule(index, branches)
        yield from zip(u_mup.residual_factors(tau) * 2, _shares(tau), strict=True)


def _shares(tau: float) -> tuple[float, ...]:
    """What the branch and the stream have of the sum, then what each has of the gradient."""
    one, zero = torch.ones((), dtype=torch.float64), torch.zeros((), dtype=torch.float64)
    forward = scaled.residual_add(one, zero, tau), scaled.residual_add(zero, one, tau)
    stream = one.clone().requires_grad_()
    backward = (torch.autograd.grad(path, stream)[0] for path in scaled.residual_split(stream, tau))
    return tuple(map(float, (*forward, *backward)))


RESIDUAL = "tau of every branch, shares of branch and stream"
COMPARED: dict[tuple[str, str], Callable[[], float]] = {
    **{
        (f"functional.{name}", "scales forward and backward"): operator
        for name, operator in {
            "linear": linear,
            "linear_readout": linear_readout,
            "embedding": embedding,
            "rms_norm": rms_norm,
            "layer_norm": layer_norm,
            "gelu": gelu,
            "silu": silu,
            "silu_glu": silu_glu,
            "softmax": softmax,
            "scaled_dot_product_attention": attention,
            "cross_entropy": cross_entropy,
            "mse_loss": mse_loss,
            "add": add,
        }.items()
    },
    ("functional.gelu", "scales of relu, its limit"): relu,
    ("transformer_residual_scaling_rule", RESIDUAL): residual,
}
"""By the original and what of it is compared."""

COMPARISONS: tuple[Comparison, ...] = tuple(
    Comparison("`u_mup`", f"unit_scaling.{original} {VERSION}", compared, "", of, 1e-12, "float64")
    for (original, compared), of in COMPARED.items()
)
