"""The models that the lab can build, by the names of the catalogue."""

from collections.abc import Callable

from muscope import catalogue
from muscope.catalogue import Options
from muscope.lab.models.mlp import Mlp
from muscope.lab.models.model import Model
from muscope.lab.models.resnet import ResNet
from muscope.lab.models.transformer import Transformer

MODELS: dict[str, Callable[[int, int, Options], Model]] = {
    "gpt": Transformer,
    "llama": Transformer,
    "mlp": Mlp,
    "resnet": ResNet,
}


def build(name: str, width: int, depth: int, options: Options) -> Model:
    """The model of that name and size; its weights are those of the catalogue."""
    if name in MODELS:
        return MODELS[name](width, depth, catalogue.MODELS[name].complete(options))
    # it holds plugins to what a model of this package is
    from muscope.lab.plugged import PluggedModel

    return PluggedModel(name, width, depth, options)
