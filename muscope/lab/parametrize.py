"""From a run to numbers: the rule of every weight, its first values, its scalars for the update."""

import hashlib

import torch
from torch import Tensor

from muscope import catalogue
from muscope.catalogue import WeightEntry
from muscope.lab.models.model import Weight
from muscope.spec import RunSpec
from muscope.theory.parametrizations import PARAMETRIZATIONS
from muscope.theory.rule import WeightDims, WeightRule


def rules(run: RunSpec) -> dict[str, WeightRule]:
    """The rule of every weight of a run, by name."""
    parametrization = run.variant.parametrization
    theory = PARAMETRIZATIONS[parametrization.name]
    family = catalogue.OPTIMIZERS[run.variant.optimizer.name].family
    options = {name: bool(value) for name, value in parametrization.options.items()}
    return {
        name: theory.weight_rule(dims, family, options) for name, dims in dimensions(run).items()
    }


def dimensions(run: RunSpec) -> dict[str, WeightDims]:
    """The dimensions of every weight, here and in the base model.

    The base model is taken as deep as the run: no rule yet depends on depth, and so every block
    has its counterpart.
    """
    pairs = zip(_entries(run, run.width), _entries(run, run.base_width), strict=True)
    return {
        here.name: WeightDims(
            role=here.role,
            fan_in=here.fan_in,
            fan_out=here.fan_out,
            base_fan_in=base.fan_in,
            base_fan_out=base.fan_out,
        )
        for here, base in pairs
    }


def attention_scale(run: RunSpec) -> float:
    """What q.k is multiplied by; the head size is the same in the base model, heads are added."""
    head_size = int(run.variant.model.options.get("head_size", 1))
    theory = PARAMETRIZATIONS[run.variant.parametrization.name]
    return theory.attention_scale(head_size, head_size)


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


def _entries(run: RunSpec, width: int) -> tuple[WeightEntry, ...]:
    model = run.variant.model
    return catalogue.MODELS[model.name].weights(width, run.depth, dict(model.options))
