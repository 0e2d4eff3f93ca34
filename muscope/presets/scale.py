"""How large a study of a preset is: the numbers that differ between its three sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeAlias

from muscope.catalogue import OptionValue
from muscope.recording import Record
from muscope.spec import (
    Arm,
    Batches,
    ModelSpec,
    OptimizerSpec,
    ParametrizationSpec,
    Search,
    StudySpec,
)
from muscope.tuning import Tuning

Switches: TypeAlias = Mapping[str, OptionValue]
NONE: Switches = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Scale:
    """The grid of a study that trains transformers, and how long it trains them.

    `data` are options of the model that choose its dataset; without any it is the built-in text.
    `beyond` are octaves by which the rates may be extended where the best one lies at their end.
    """

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    base_width: int
    head_size: int
    sequence_length: int
    batch_size: int
    steps: int
    warmup_steps: int
    seeds: int
    octaves: tuple[float, ...]
    search: Search = "full"
    beyond: int = 0
    held_out: int = 8
    data: tuple[tuple[str, OptionValue], ...] = ()

    def at(self, batch_size: int, steps: int) -> "Scale":
        """The same with another batch size and length, and a warm-up of a tenth of it at most."""
        warmup = min(self.warmup_steps, max(1, steps // 10))
        return replace(self, batch_size=batch_size, steps=steps, warmup_steps=warmup)


SMOKE = Scale(
    widths=(16, 32),
    depths=(1,),
    base_width=16,
    head_size=8,
    sequence_length=8,
    batch_size=2,
    steps=4,
    warmup_steps=1,
    seeds=1,
    octaves=(-1, 0, 1),
    held_out=1,
)
LAPTOP = Scale(
    widths=(32, 64, 128),
    depths=(2,),
    base_width=32,
    head_size=16,
    sequence_length=64,
    batch_size=8,
    steps=100,
    warmup_steps=10,
    seeds=3,
    octaves=(-3, -2, -1, 0, 1, 2, 3),
    search="adaptive",
)
"""Tiny transformers on the built-in text, byte by byte; all of it is our choice."""


def tokens(file: str, vocabulary: int) -> tuple[tuple[str, OptionValue], ...]:
    """The options of a model that reads a file of tokens of the datasets folder."""
    return (("dataset", "tokens"), ("dataset_name", file), ("vocabulary", vocabulary))


def transformer(name: str, scale: Scale, options: Switches = NONE) -> ModelSpec:
    """GPT or Llama of that scale, with these switches; every query has a key of its own."""
    shape: Switches = {
        "head_size": scale.head_size,
        "sequence_length": scale.sequence_length,
        "queries_per_key": 1,
    }
    everything = {**shape, **dict(scale.data), **options}
    return ModelSpec(name=name, batch_size=scale.batch_size, options=everything)


def optimizer(
    name: str, learning_rate: float, scale: Scale, options: Switches = NONE
) -> OptimizerSpec:
    """An optimizer whose rate warms up and then falls, in a line unless options say otherwise."""
    times: Switches = {"schedule": "linear", "warmup_steps": scale.warmup_steps}
    return OptimizerSpec(name=name, learning_rate=learning_rate, options={**times, **options})


def constant(name: str, learning_rate: float, options: Switches = NONE) -> OptimizerSpec:
    """An optimizer whose rate stays, for coordinate checks."""
    return OptimizerSpec(name=name, learning_rate=learning_rate, options=dict(options))


def parametrization(name: str, options: Switches = NONE, *, fault: str = "") -> ParametrizationSpec:
    """A parametrization with its switches, and with a fault if one is named."""
    return ParametrizationSpec(name=name, options=dict(options), fault=fault)


def transfer(
    name: str,
    scale: Scale,
    model: ModelSpec,
    optimizers: Sequence[OptimizerSpec],
    parametrizations: Sequence[ParametrizationSpec],
) -> StudySpec:
    """A learning-rate study of that scale."""
    return StudySpec(
        name=name,
        kind="lr_transfer",
        arms=(Arm(model=model, optimizers=tuple(optimizers)),),
        parametrizations=tuple(parametrizations),
        widths=scale.widths,
        depths=scale.depths,
        base_width=scale.base_width,
        base_depth=scale.depths[0],
        seeds=scale.seeds,
        steps=scale.steps,
        octaves=scale.octaves,
        search=scale.search,
        extend_octaves=scale.beyond,
        held_out=scale.held_out,
    )


def tune(
    name: str,
    scale: Scale,
    model: ModelSpec,
    optimizer: OptimizerSpec,
    parametrization: ParametrizationSpec,
    *,
    tuning: Tuning,
) -> StudySpec:
    """A hyperparameter search of that scale."""
    return StudySpec(
        name=name,
        kind="hyperparameter_search",
        arms=(Arm(model=model, optimizers=(optimizer,)),),
        parametrizations=(parametrization,),
        widths=scale.widths,
        depths=scale.depths,
        base_width=scale.base_width,
        base_depth=scale.depths[0],
        seeds=scale.seeds,
        steps=scale.steps,
        octaves=scale.octaves,
        held_out=scale.held_out,
        tuning=tuning,
    )


def check(
    name: str,
    scale: Scale,
    model: ModelSpec,
    optimizers: Sequence[OptimizerSpec],
    parametrizations: Sequence[ParametrizationSpec],
    *,
    record: Record = "activations",
    batches: Batches = "fixed",
) -> StudySpec:
    """A coordinate check of that scale, which needs no rates and no schedule."""
    return StudySpec(
        name=name,
        arms=(Arm(model=model, optimizers=tuple(optimizers)),),
        parametrizations=tuple(parametrizations),
        widths=scale.widths,
        depths=scale.depths,
        base_width=scale.base_width,
        base_depth=scale.depths[0],
        seeds=scale.seeds,
        steps=scale.steps,
        record=record,
        batches=batches,
    )
