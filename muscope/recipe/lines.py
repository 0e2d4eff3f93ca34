"""The tensors of a recipe in few lines: those of all blocks as one, where their numbers agree."""

from collections import defaultdict
from dataclasses import dataclass

from muscope.own_model.facts import pattern
from muscope.recipe.types import Recipe, TensorRecipe


@dataclass(frozen=True, slots=True)
class Line:
    """Weights with the same numbers: `blocks.*.attn.q` stands for `count` of them."""

    name: str
    tensor: TensorRecipe
    count: int


def lines(recipe: Recipe) -> tuple[Line, ...]:
    """Every weight of the recipe, in the order of its forward."""
    alike: dict[str, list[TensorRecipe]] = defaultdict(list)
    for tensor in recipe.tensors:
        alike[pattern(tensor.name)].append(tensor)
    return tuple(line for name, tensors in alike.items() for line in _of_pattern(name, tensors))


def _of_pattern(name: str, tensors: list[TensorRecipe]) -> list[Line]:
    numbers = {tensor.model_copy(update={"name": name}) for tensor in tensors}
    if len(numbers) == 1:
        return [Line(name, tensors[0], len(tensors))]
    return [Line(tensor.name, tensor, 1) for tensor in tensors]
