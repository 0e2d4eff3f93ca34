"""The lab's models compute what PyTorch's modules compute, and use every weight they have."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from muscope import catalogue
from muscope.catalogue import Options
from muscope.lab import models
from muscope.lab.models.model import Batch
from muscope.lab.models.operators import ATTENTION, Operators, Parameters
from tests.lab.models import references

WIDTH, DEPTH = 32, 2
SMALL: Options = {"head_size": 8, "sequence_length": 6, "mlp_ratio": 2}
TRANSFORMERS: list[Options] = [
    {},
    {"nonlinearity": "relu", "biases": True},
    {"nonlinearity": "squared_relu", "norm_gains": "scalar"},
    {"nonlinearity": "silu", "norm_gains": "vector", "norm": "layernorm"},
    {"nonlinearity": "swiglu", "norm": "rmsnorm", "fused_projections": True, "biases": True},
    {"norm_placement": "post", "norm_gains": "vector"},
    {"positions": "rope", "queries_per_key": 2},
    {"positions": "rope", "queries_per_key": 4, "fused_projections": True},
    {"heads": 2, "positions": "learned"},
    {"tied_embeddings": True},
]


def values(model: str, options: Options) -> dict[str, Tensor]:
    """Random values for every weight, small enough for a loss that is not saturated."""
    generator = torch.Generator().manual_seed(0)
    return {
        entry.name: 0.3 * torch.randn(entry.shape, generator=generator)
        for entry in catalogue.MODELS[model].weights(WIDTH, DEPTH, options)
    }


def computed(
    model: str, options: Options, weights: dict[str, Tensor], batch: Batch
) -> tuple[Tensor, dict[str, Tensor]]:
    """The lab's loss and activations, with q.k over sqrt(head size)."""
    entries = {e.name: e for e in catalogue.MODELS[model].weights(WIDTH, DEPTH, options)}
    operators = Operators(entries, Parameters(weights, multipliers(model, options)))
    loss = models.build(model, WIDTH, DEPTH, options).loss(operators, batch)
    return loss, operators.activations


def multipliers(model: str, options: Options) -> dict[str, Tensor]:
    return {ATTENTION: torch.tensor(size(options) ** -0.5)} if model in ("gpt", "llama") else {}


def size(options: Options) -> int:
    return WIDTH // int(options.get("heads", 0) or WIDTH // 8)


def tokens() -> Batch:
    generator = torch.Generator().manual_seed(1)
    text = torch.randint(0, 256, (3, 7), generator=generator)
    return Batch(text[:, :-1], text[:, 1:])


def images(pixels: int) -> Batch:
    generator = torch.Generator().manual_seed(1)
    return Batch(torch.randn(5, pixels, generator=generator), torch.arange(5))


def assert_same_function(
    ours: Callable[[dict[str, Tensor]], Tensor],
    theirs: Callable[[dict[str, Tensor]], Tensor],
    weights: dict[str, Tensor],
) -> None:
    """Equal loss and gradients, none of them zero: a weight without a use would have one."""
    leaves = {name: value.requires_grad_() for name, value in weights.items()}
    wanted = theirs(leaves)
    got = ours(leaves)
    assert got.item() == pytest.approx(wanted.item(), rel=1e-5)  # float32 sums, another order
    pairs = zip(
        torch.autograd.grad(got, list(leaves.values())),
        torch.autograd.grad(wanted, list(leaves.values())),
        strict=True,
    )
    for name, (mine, other) in zip(leaves, pairs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-6, msg=lambda m, n=name: n + m)
        assert mine.abs().max() > 0, name


@pytest.mark.parametrize("options", TRANSFORMERS, ids=str)
@pytest.mark.parametrize("model", ["gpt", "llama"])
def test_a_transformer_is_that_of_pytorch(model: str, options: Options) -> None:
    options = catalogue.MODELS[model].complete({**SMALL, **options})
    batch = tokens()
    assert_same_function(
        lambda w: computed(model, options, w, batch)[0],
        lambda w: references.transformer(w, *batch, options, depth=DEPTH, size=size(options)),
        values(model, options),
    )


@pytest.mark.parametrize(
    "options",
    [{}, {"biases": True, "loss": "mse"}, *({"nonlinearity": f} for f in ("tanh", "squared_relu"))],
    ids=str,
)
def test_an_mlp_is_that_of_pytorch(options: Options) -> None:
    options = catalogue.MODELS["mlp"].complete(options)
    batch = images(64)
    assert_same_function(
        lambda w: computed("mlp", options, w, batch)[0],
        lambda w: references.mlp(w, *batch, options),
        values("mlp", options),
    )


@pytest.mark.parametrize(("dataset", "channels"), [("digits", 1), ("photo_patches", 3)])
def test_a_resnet_is_that_of_pytorch(dataset: str, channels: int) -> None:
    options = catalogue.MODELS["resnet"].complete({"dataset": dataset})
    batch = images(64 * channels)
    assert_same_function(
        lambda w: computed("resnet", options, w, batch)[0],
        lambda w: references.resnet(w, *batch, channels=channels),
        values("resnet", options),
    )


@pytest.mark.parametrize(
    ("model", "options"),
    [*(("gpt", options) for options in TRANSFORMERS), ("llama", {}), ("resnet", {}), ("mlp", {})],
    ids=str,
)
def test_the_activations_are_those_of_the_catalogue(model: str, options: Options) -> None:
    small = SMALL if model in ("gpt", "llama") else {}
    options = catalogue.MODELS[model].complete({**small, **options})
    batch = tokens() if small else images(64 if model == "mlp" else 3072)
    _, found = computed(model, options, values(model, options), batch)
    said = catalogue.MODELS[model].activations(WIDTH, DEPTH, options)
    examples = len(batch.inputs)
    assert [(entry.name, examples * entry.elements_per_example) for entry in said] == [
        (name, value.numel()) for name, value in found.items()
    ]


def test_the_inputs_of_weights_are_there_when_asked() -> None:
    options = catalogue.MODELS["llama"].complete(SMALL)
    weights, batch = values("llama", options), tokens()
    entries = {e.name: e for e in catalogue.MODELS["llama"].weights(WIDTH, DEPTH, options)}
    parameters = Parameters(weights, multipliers("llama", options))
    operators = Operators(entries, parameters, record_inputs=True)
    models.build("llama", WIDTH, DEPTH, options).loss(operators, batch)
    assert list(operators.inputs) == list(entries)
    for name in ("blocks.0.attn.q", "blocks.1.mlp.down"):
        rows = operators.inputs[name]
        assert rows.shape == (batch.inputs.numel(), entries[name].fan_in)
    q = operators.inputs["blocks.0.attn.q"] @ weights["blocks.0.attn.q"].T
    torch.testing.assert_close(q, operators.activations["blocks.0.attn.q"].flatten(0, 1))
