"""The models that the lab can build, with their tensors by arithmetic."""

from muscope.catalogue.models.entries import ActivationEntry, ModelEntry, WeightEntry, WeightKind
from muscope.catalogue.models.mlp import MLP
from muscope.catalogue.models.resnet import RESNET
from muscope.catalogue.models.transformer import GPT, LLAMA
from muscope.catalogue.registry import Registry

__all__ = ["MODELS", "ActivationEntry", "ModelEntry", "WeightEntry", "WeightKind"]

MODELS: Registry[ModelEntry] = Registry((entry.name, entry) for entry in (GPT, LLAMA, MLP, RESNET))
