"""From a run to numbers: the rule of every weight, its first values, its scalars for the update."""

from collections.abc import Sequence

import torch
from torch import Tensor

from muscope.catalogue import PARAMETRIZATION_ENTRIES, Options, WeightEntry
from muscope.catalogue import rules as catalogue_rules
from muscope.catalogue.parametrizations import OperatorSet
from muscope.catalogue.rules import Choice, Size, weight_rules
from muscope.lab import streams
from muscope.lab.models.operators import ATTENTION, BRANCHES, READOUT
from muscope.spec import RunSpec
from muscope.theory.rule import WeightDims, WeightRule


def rules(run: RunSpec) -> dict[str, WeightRule]:
    """The rule of every weight of a run, by name."""
    optimizer = run.variant.optimizer
    return weight_rules(_choice(run), optimizer.name, dimensions(run), dict(optimizer.options))


def dimensions(run: RunSpec) -> dict[str, WeightDims]:
    """The dimensions of every weight, here and in the base model."""
    return catalogue_rules.dimensions(*_model(run), _size(run))


def multipliers(run: RunSpec) -> dict[str, float]:
    """What everything is multiplied by in the forward: weights, branches, q.k, operators."""
    found = {name: rule.multiplier for name, rule in rules(run).items()}
    if run.variant.model.options.get("tied_embeddings"):
        choice, optimizer = _choice(run), run.variant.optimizer.name
        found[READOUT] = catalogue_rules.tied_multiplier(
            choice, optimizer, *_model(run), _size(run)
        )
    found |= {BRANCHES: residual_multiplier(run), ATTENTION: attention_scale(run)}
    return found | catalogue_rules.operator_scales(_choice(run), *_model(run), _size(run))


def operators(run: RunSpec) -> OperatorSet:
    """What the run's forward is made of."""
    return PARAMETRIZATION_ENTRIES[run.variant.parametrization.name].operators


def attention_scale(run: RunSpec) -> float:
    """What q.k is multiplied by."""
    return catalogue_rules.attention_scale(_choice(run), *_model(run), _size(run))


def residual_multiplier(run: RunSpec) -> float:
    """What every branch is multiplied by before it is added to the stream."""
    return catalogue_rules.residual_multiplier(_choice(run), *_model(run), _size(run))


def stacked(entry: WeightEntry, rules: Sequence[WeightRule], *, seeds: Sequence[int]) -> Tensor:
    """The first values of one weight of several members, (members, *shape): a seed draws once."""
    draws = {seed: draw(entry, seed) for seed in set(seeds)}
    return torch.stack(
        [scaled(entry, rule, draws[seed]) for rule, seed in zip(rules, seeds, strict=True)]
    )


def initial(entry: WeightEntry, rule: WeightRule, *, seed: int) -> Tensor:
    """start / multiplier + N(0, init_std^2)."""
    return scaled(entry, rule, draw(entry, seed))


def draw(entry: WeightEntry, seed: int) -> Tensor:
    """Standard normal numbers in the shape of a weight, from a stream of its own.

    The stream is decided by seed and name: parametrizations of equal shape scale the same draws,
    and one weight more or less changes no other.
    """
    return torch.randn(entry.shape, generator=streams.generator(f"init:{seed}:{entry.name}"))


def scaled(entry: WeightEntry, rule: WeightRule, draws: Tensor) -> Tensor:
    """The first values that a rule makes of the draws."""
    start = entry.start / rule.multiplier
    return start + draws * rule.init_std if rule.init_std else torch.full(entry.shape, start)


def _model(run: RunSpec) -> tuple[str, Options]:
    model = run.model
    return model.name, dict(model.options)


def _size(run: RunSpec) -> Size:
    return Size(run.width, run.depth, run.base_width, run.base_depth)


def _choice(run: RunSpec) -> Choice:
    return run.parametrization.choice
