"""The formats of a recipe, by the name that is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from muscope.recipe import cerebras, nanotron, pytorch
from muscope.recipe.types import Recipe


class Format(StrEnum):
    """What a recipe can be written as."""

    PYTORCH = "pytorch"
    CEREBRAS = "cerebras"
    NANOTRON = "nanotron"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Written:
    """How a format is called, what it is as a file, and what writes it."""

    title: str
    suffix: str
    media_type: str
    export: Callable[[Recipe], str]


def as_json(recipe: Recipe) -> str:
    """Everything, as data: `Recipe.model_validate_json` reads it back."""
    return recipe.model_dump_json(indent=2) + "\n"


WRITTEN: dict[Format, Written] = {
    Format.PYTORCH: Written("PyTorch", "py", "text/x-python", pytorch.export),
    Format.CEREBRAS: Written("Cerebras YAML", "cerebras.yaml", "application/yaml", cerebras.export),
    Format.NANOTRON: Written("nanotron YAML", "nanotron.yaml", "application/yaml", nanotron.export),
    Format.JSON: Written("JSON", "json", "application/json", as_json),
}


def export(recipe: Recipe, format: Format) -> str:
    """The recipe in a format; NotARecipe where that cannot say what the recipe says."""
    return WRITTEN[format].export(recipe)
