"""What graphcore's unit-scaling does, measured: factors of operators, groups of parameters."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from tests import needs

INSTALL = "pip install unit-scaling"
unit_scaling = needs.package("unit_scaling", INSTALL)
functional = needs.package("unit_scaling.functional", INSTALL)

Operator = Callable[..., Tensor]

NAMES = {
    "embedding.token": "embedding.weight",
    "readout": "projection.weight",
}
IN_BLOCK = {
    "attn.q": "mhsa.linear_qkv.weight",
    "attn.k": "mhsa.linear_qkv.weight",
    "attn.v": "mhsa.linear_qkv.weight",
    "attn.o": "mhsa.linear_o.weight",
    "mlp.up": "mlp.linear_1.weight",
    "mlp.down": "mlp.linear_2.weight",
}
"""Our names of weights, and theirs in `unit_scaling.TransformerDecoder`."""


def normal(*shape: int, seed: int = 0) -> Tensor:
    """Standard normal numbers in float64, asked for their gradient."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()


def factors(scaled: Operator, plain: Operator, *inputs: Tensor) -> tuple[float, ...]:
    """The factor of the output, then of every input's gradient: scaled over plain.

    That each is one number for all entries is part of what is promised.
    """
    (here, *gradients), (there, *plain_gradients) = (
        _with_gradients(operator, inputs) for operator in (scaled, plain)
    )
    return tuple(map(_factor, (here, *gradients), (there, *plain_gradients)))


def _with_gradients(operator: Operator, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    output = operator(*inputs)
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    upward = normal(*output.shape, seed=99).detach()
    return output.detach(), *torch.autograd.grad(output, wanted, upward)


def _factor(scaled: Tensor, plain: Tensor) -> float:
    factor = (scaled * plain).sum() / plain.square().sum()
    torch.testing.assert_close(scaled, factor * plain, rtol=1e-9, atol=1e-12)  # float64
    return float(factor)


def decoder(width: int, depth: int, vocabulary: int) -> nn.Module:
    """A Llama-like decoder of theirs, without biases and gains."""
    made = unit_scaling.TransformerDecoder(width, vocabulary, layers=depth, heads=2)
    assert isinstance(made, nn.Module)
    return made


def theirs(name: str) -> str:
    """The parameter of the decoder that has what our weight of that name is."""
    if name in NAMES:
        return NAMES[name]
    _, block, part = name.split(".", 2)
    return f"layers.{block}.{IN_BLOCK[part]}"


def with_vectors(width: int, depth: int) -> nn.Module:
    """Modules of theirs with biases and gains, which their decoder has not, by our names."""

    def block() -> nn.Module:
        gain = unit_scaling.RMSNorm(width, elementwise_affine=True)
        query = unit_scaling.Linear(width, width, bias=True)
        down = unit_scaling.Linear(4 * width, width, bias=True)
        attention = nn.ModuleDict({"norm": gain, "q": query})
        return nn.ModuleDict({"attn": attention, "mlp": nn.ModuleDict({"down": down})})

    blocks = unit_scaling.DepthModuleList([block() for _ in range(depth)])
    norm = unit_scaling.RMSNorm(width, elementwise_affine=True)
    return nn.ModuleDict({"blocks": blocks, "norm": norm})


def groups(stepper: torch.optim.Optimizer, model: nn.Module) -> dict[str, dict[str, float]]:
    """The group of every parameter, by their names."""
    group_of = {id(weight): group for group in stepper.param_groups for weight in group["params"]}
    return {name: group_of[id(weight)] for name, weight in model.named_parameters()}
