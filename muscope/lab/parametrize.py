"""From a run to numbers: the rule of every weight, its first values, its scalars for the update."""

import hashlib

import torch
from torch import Tensor

from muscope.catalogue import rules as catalogue_rules
from muscope.catalogue.rules import Choice, Size, weight_rules
from muscope.lab.models.model import Weight
from muscope.spec import RunSpec
from muscope.theory.rule import WeightDims, WeightRule


def rules(run: RunSpec) -> dict[str, WeightRule]:
    """The rule of every weight of a run, by name."""
    optimizer = run.variant.optimizer
    return weight_rules(_choice(run), optimizer.name, dimensions(run), dict(optimizer.options))


def dimensions(run: RunSpec) -> dict[str, WeightDims]:
    """The dimensions of every weight, here and in the base model."""
    model = run.variant.model
    size = Size(run.width, run.depth, run.base_width, run.base_depth)
    return catalogue_rules.dimensions(model.name, dict(model.options), size)


def attention_scale(run: RunSpec) -> float:
    """What q.k is multiplied by; the head size is the same in the base model, heads are added."""
    head_size = int(run.variant.model.options.get("head_size", 1))
    choice = _choice(run)
    return choice.theory.attention_scale(head_size, head_size, choice.complete)


def residual_multiplier(run: RunSpec) -> float:
    """What every branch is multiplied by before it is added to the stream."""
    choice = _choice(run)
    return choice.theory.residual_multiplier(run.depth, run.base_depth, choice.complete)


def initial(name: str, weight: Weight, *, seed: int, init_std: float) -> Tensor:
    """N(0, init_std^2) from a stream of the weight's own.

    The stream is decided by seed and name: parametrizations of equal shape scale the same draws,
    and one weight more or less changes no other.
    """
    if init_std == 0:
        return torch.zeros(weight.shape)
    stream = hashlib.sha256(f"init:{seed}:{name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(stream[:8], "big"))
    return torch.randn(weight.shape, generator=generator) * init_std


def _choice(run: RunSpec) -> Choice:
    parametrization = run.variant.parametrization
    return Choice(parametrization.name, parametrization.options)
