"""The catalogue's models as anybody would write them: plain modules with the catalogue's names."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from muscope.catalogue import MODELS, WeightEntry, WeightKind
from muscope.lab.models.operators import NORM_EPSILON
from muscope.recipe import Recipe
from muscope.recipe.types import TensorRecipe

Tensors = Iterable[WeightEntry | TensorRecipe]


class Gain(nn.Module):
    """The gain of a norm."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))


class Plain(nn.Module):
    """The modules of a model, by name; its forward is written in the subclasses."""

    input: Any
    hidden: Any
    embedding: Any
    blocks: Any
    readout: Any

    def __init__(self, tensors: Tensors) -> None:
        super().__init__()
        found = list(tensors)
        biased = {one.name.removesuffix(".bias") for one in found if one.kind is WeightKind.BIAS}
        for one in found:
            if one.kind is not WeightKind.BIAS:
                _place(self, one.name.removesuffix(".gain"), _module(one, one.name in biased))


def _module(tensor: WeightEntry | TensorRecipe, bias: bool) -> nn.Module:
    rows, columns = tensor.shape
    match tensor.kind:
        case WeightKind.TABLE:
            return nn.Embedding(rows, columns)
        case WeightKind.GAIN:
            return Gain(rows)
        case _:
            return nn.Linear(columns, rows, bias=bias)


def _place(root: nn.Module, name: str, module: nn.Module) -> None:
    *path, leaf = name.split(".")
    for part in path:
        if not hasattr(root, part):
            root.add_module(part, nn.Module())
        root = getattr(root, part)
    root.add_module(leaf, module)


class Mlp(Plain):
    """ReLU after every layer but the last."""

    def forward(self, inputs: Tensor) -> Tensor:
        stream: Tensor = self.input(inputs)
        for layer in self.hidden.children():
            stream = layer(functional.relu(stream))
        outputs: Tensor = self.readout(functional.relu(stream))
        return outputs


class Gpt(Plain):
    """Learned positions, pre-norm without gains, GELU; two numbers of the recipe in the forward."""

    def __init__(self, tensors: Tensors, recipe: Recipe) -> None:
        super().__init__(tensors)
        self.attention_scale = recipe.attention_scale
        self.branch = recipe.residual_multiplier or 1.0
        self.head_size = int(recipe.model.options["head_size"])
        if not hasattr(self, "readout"):
            rows, columns = self.embedding.token.weight.shape
            self.readout = nn.Linear(columns, rows, bias=False)
            self.readout.weight = self.embedding.token.weight

    def forward(self, tokens: Tensor) -> Tensor:
        places = torch.arange(tokens.shape[1])
        stream: Tensor = self.embedding.token(tokens) + self.embedding.position(places)
        for block in self.blocks.children():
            stream = stream + self.branch * self._attend(block.attn, _norm(stream))
            inside = block.mlp.down(functional.gelu(block.mlp.up(_norm(stream))))
            stream = stream + self.branch * inside
        logits: Tensor = self.readout(_norm(stream))
        return logits

    def _attend(self, attn: Any, inputs: Tensor) -> Tensor:
        rows = (attn.q(inputs), attn.k(inputs), attn.v(inputs))
        q, k, v = (x.unflatten(-1, (-1, self.head_size)).transpose(1, 2) for x in rows)
        mixed = functional.scaled_dot_product_attention(
            q, k, v, is_causal=True, scale=self.attention_scale
        )
        written: Tensor = attn.o(mixed.transpose(1, 2).flatten(-2))
        return written


def _norm(inputs: Tensor) -> Tensor:
    return functional.layer_norm(inputs, inputs.shape[-1:], eps=NORM_EPSILON)


def of(recipe: Recipe) -> Plain:
    """The model of a recipe with a forward, for those that have one here; else its modules."""
    options = dict(recipe.model.options)
    entries = MODELS[recipe.model.name].weights(recipe.width, recipe.depth, options)
    match recipe.model.name:
        case "mlp":
            return Mlp(entries)
        case "gpt":
            return Gpt(entries, recipe)
        case _:
            return Plain(entries)
