"""The models that the lab can build, by the names of the catalogue."""

from collections.abc import Callable

from muscope.catalogue import Options
from muscope.lab.models.gpt import Gpt
from muscope.lab.models.mlp import Mlp
from muscope.lab.models.model import Model

MODELS: dict[str, Callable[[int, int, Options], Model]] = {"gpt": Gpt, "mlp": Mlp}


def build(name: str, width: int, depth: int, options: Options) -> Model:
    """The model of that name and size, without values for its weights."""
    return MODELS[name](width, depth, options)
