"""The lab's models written a second time, with the modules and functions of PyTorch."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from muscope.catalogue import OptionValue

Weights = Mapping[str, Tensor]
Options = Mapping[str, OptionValue]

FUNCTIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "gelu": torch.nn.GELU(),
    "relu": torch.nn.ReLU(),
    "silu": torch.nn.SiLU(),
    "tanh": torch.nn.Tanh(),
    "squared_relu": lambda x: torch.nn.ReLU()(x) ** 2,
}


def linear(weights: Weights, name: str, x: Tensor) -> Tensor:
    bias = weights.get(f"{name}.bias")
    return functional.linear(x, weights[name], None if bias is None else bias[:, 0])


def norm(weights: Weights, name: str, x: Tensor, options: Options) -> Tensor:
    size = x.shape[-1]
    gain = weights.get(f"{name}.gain", torch.ones(1, 1)).flatten().expand(size)
    if options["norm"] == "layernorm":
        return functional.layer_norm(x, (size,), gain, eps=1e-9)
    return gain * x / (x.square().mean(-1, keepdim=True) + 1e-9).sqrt()


def turned(x: Tensor) -> Tensor:
    """Rotary positions by complex numbers."""
    time, size = x.shape[-2:]
    half = size // 2
    frequencies = 10_000.0 ** (-torch.arange(half) / half)
    angles = torch.arange(time)[:, None] * frequencies
    turned = torch.complex(x[..., :half], x[..., half:]) * torch.polar(
        torch.ones(time, half), angles
    )
    return torch.cat((turned.real, turned.imag), -1)


def attention(weights: Weights, name: str, x: Tensor, options: Options, *, size: int) -> Tensor:
    q, k, v = (
        linear(weights, f"{name}.{part}", x).unflatten(-1, (-1, size)).transpose(1, 2)
        for part in "qkv"
    )
    if options["positions"] == "rope":
        q, k = turned(q), turned(k)
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
    return linear(weights, f"{name}.o", mixed.transpose(1, 2).flatten(-2))


def feed_forward(weights: Weights, name: str, x: Tensor, options: Options) -> Tensor:
    up = linear(weights, f"{name}.up", x)
    if options["nonlinearity"] == "swiglu":
        up = up * torch.nn.SiLU()(linear(weights, f"{name}.gate", x))
    else:
        up = FUNCTIONS[str(options["nonlinearity"])](up)
    return linear(weights, f"{name}.down", up)


def transformer(
    weights: Weights, inputs: Tensor, targets: Tensor, options: Options, *, depth: int, size: int
) -> Tensor:
    """The loss of a transformer without multipliers and with attention by 1 / sqrt(size)."""
    x = weights["embedding.token"][inputs]
    if "embedding.position" in weights:
        x = x + weights["embedding.position"][: inputs.shape[1]]
    for block in range(depth):
        for name, inside in (("attn", attention), ("mlp", feed_forward)):
            place = f"blocks.{block}.{name}"
            extra = {"size": size} if name == "attn" else {}
            if options["norm_placement"] == "pre":
                x = x + inside(
                    weights, place, norm(weights, f"{place}.norm", x, options), options, **extra
                )
            else:
                x = norm(
                    weights,
                    f"{place}.norm",
                    x + inside(weights, place, x, options, **extra),
                    options,
                )
    if options["norm_placement"] == "pre":
        x = norm(weights, "norm", x, options)
    logits = x @ weights.get("readout", weights["embedding.token"]).T
    return functional.cross_entropy(logits.transpose(1, 2), targets)


def mlp(weights: Weights, inputs: Tensor, targets: Tensor, options: Options) -> Tensor:
    """The loss of an MLP without multipliers."""
    x = inputs
    for name in (name for name in weights if not name.endswith("bias") and name != "readout"):
        x = FUNCTIONS[str(options["nonlinearity"])](linear(weights, name, x))
    outputs = linear(weights, "readout", x)
    if options["loss"] == "mse":
        return ((outputs - torch.eye(outputs.shape[1])[targets]) ** 2).mean()
    return torch.nn.CrossEntropyLoss()(outputs, targets)


def resnet(weights: Weights, inputs: Tensor, targets: Tensor, *, channels: int) -> Tensor:
    """The loss of a ResNet without multipliers."""

    def convolve(name: str, x: Tensor, stride: int = 1) -> Tensor:
        filters = weights[name].view(-1, x.shape[1], 3, 3)
        return functional.conv2d(x, filters, stride=stride, padding=1)

    def active(x: Tensor) -> Tensor:
        return torch.relu(torch.nn.GroupNorm(1, x.shape[1], eps=1e-9, affine=False)(x))

    side = round((inputs.shape[1] / channels) ** 0.5)
    x = convolve("stem", inputs.unflatten(1, (channels, side, side)))
    for name in weights:
        if name.endswith("down"):
            x = convolve(name, x, stride=2)
        if name.endswith("conv1"):
            inside = convolve(name, active(x))
            x = x + convolve(name.replace("conv1", "conv2"), active(inside))
    return functional.cross_entropy(active(x).mean((2, 3)) @ weights["readout"].T, targets)
