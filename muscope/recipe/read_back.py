"""An export is read again before it is handed out: its keys must say what the recipe says."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from muscope.recipe.types import NotARecipe, Recipe

SAME = 1e-9
"""Relative: an export has every digit, so that only the order of products may differ."""

QUANTITIES = {
    "init_std": "initial std",
    "multiplier": "multiplier",
    "learning_rate": "learning rate",
    "weight_decay": "weight decay",
    "epsilon": "epsilon",
}


@dataclass(frozen=True, slots=True)
class ReadWeight:
    """What a framework makes of one weight, by the documented meaning of its keys."""

    name: str
    shape: tuple[int, int]
    init_std: float
    multiplier: float
    learning_rate: float
    weight_decay: float
    epsilon: float


@dataclass(frozen=True, slots=True)
class ReadModel:
    """What a framework makes of all keys; `logits` is what the logits are multiplied by in all."""

    weights: tuple[ReadWeight, ...]
    attention_scale: float
    logits: float

    def by_name(self) -> dict[str, ReadWeight]:
        """The weights by the names of the catalogue."""
        return {weight.name: weight for weight in self.weights}


def check(recipe: Recipe, read: ReadModel, *, framework: str, advice: str) -> None:
    """NotARecipe where the keys say something else, with the first number that differs."""
    for said, wanted, found in _differences(recipe, read):
        raise NotARecipe(
            f"the keys of {framework} cannot say this recipe: with them {said} would be "
            f"{found:.4g}, and it should be {wanted:.4g}; {advice}"
        )


def _differences(recipe: Recipe, read: ReadModel) -> Iterable[tuple[str, float, float]]:
    weights = read.by_name()
    for tensor in recipe.tensors:
        if tensor.name not in weights:
            yield f"the number of weights {tensor.name!r}", 1, 0
            continue
        found = weights[tensor.name]
        for key, words in QUANTITIES.items():
            mine, theirs = getattr(tensor, key), getattr(found, key)
            if mine is not None and not _same(mine, theirs):
                yield f"the {words} of {tensor.name!r}", mine, theirs
        if tensor.shape != found.shape:
            yield f"the size of {tensor.name!r}", math.prod(tensor.shape), math.prod(found.shape)
    for words, mine, theirs in (
        ("what q·k is multiplied by", recipe.attention_scale, read.attention_scale),
        ("what the logits are multiplied by", recipe.tied_multiplier, read.logits),
        ("what a branch is multiplied by", recipe.residual_multiplier, 1.0),
    ):
        if mine is not None and not _same(mine, theirs):
            yield words, mine, theirs


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=SAME, abs_tol=0.0)
