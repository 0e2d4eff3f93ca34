"""The rule of every weight of a model: where parametrization, optimizer and model meet."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from muscope.catalogue.models import MODELS, WeightEntry
from muscope.catalogue.optimizers import OPTIMIZERS
from muscope.catalogue.options import Options, OptionValue, with_defaults
from muscope.catalogue.parametrizations import ALL_PARAMETRIZATIONS
from muscope.theory.rule import Parametrization, WeightDims, WeightRule
from muscope.vocabulary import DecayForm


@dataclass(frozen=True, slots=True)
class Size:
    """How large a model is, and the base model that its rules refer to."""

    width: int
    depth: int
    base_width: int
    base_depth: int


@dataclass(frozen=True, slots=True)
class Choice:
    """A parametrization with its options, of which silent ones may be missing."""

    name: str
    options: Mapping[str, OptionValue]

    @property
    def theory(self) -> Parametrization:
        """Its rules."""
        return ALL_PARAMETRIZATIONS[self.name].theory

    @property
    def complete(self) -> Options:
        """Every option with its value."""
        return with_defaults(self.options, ALL_PARAMETRIZATIONS[self.name].options)


def dimensions(model: str, options: Options, size: Size) -> dict[str, WeightDims]:
    """The dimensions of every weight, here and in the base model, by name.

    The base model's weights are taken as deep as the model's, so that every block has its
    counterpart; of the base depth only the number matters.
    """
    here = MODELS[model].weights(size.width, size.depth, options)
    base = MODELS[model].weights(size.base_width, size.depth, options)
    pairs = zip(here, base, strict=True)
    return {entry.name: _dims(entry, other, size) for entry, other in pairs}


def weight_rules(
    parametrization: Choice,
    optimizer: str,
    dims: Mapping[str, WeightDims],
    optimizer_options: Options | None = None,
) -> dict[str, WeightRule]:
    """The rule of every weight, or ValueError where no source gives one."""
    theory = parametrization.theory
    options, entry = parametrization.complete, OPTIMIZERS[optimizer]
    rules = {
        name: theory.weight_rule(weight, entry.family_of(weight.role, optimizer_options), options)
        for name, weight in dims.items()
    }
    if entry.decay is DecayForm.INDEPENDENT:
        return {name: replace(rule, weight_decay_factor=1.0) for name, rule in rules.items()}
    return rules


def complaint(parametrization: Choice, optimizer: str, model: str, options: Options) -> str | None:
    """Why these three do not go together, or None: asked once, of the smallest model."""
    theory = parametrization.theory
    dims = dimensions(model, options, Size(64, 1, 64, 1))
    if theory.needs_branches and not any(weight.in_branch for weight in dims.values()):
        return (
            f"parametrization {theory.name!r} scales residual branches, and model {model!r} has "
            "none; take 'mup', which is the same in width"
        )
    try:
        weight_rules(parametrization, optimizer, dims)
    except ValueError as error:
        return f"optimizer {optimizer!r}: {error}"
    return None


def _dims(here: WeightEntry, base: WeightEntry, size: Size) -> WeightDims:
    return WeightDims(
        role=here.role,
        fan_in=here.fan_in,
        fan_out=here.fan_out,
        base_fan_in=base.fan_in,
        base_fan_out=base.fan_out,
        depth=size.depth,
        base_depth=size.base_depth,
        in_branch=here.in_branch,
        writes_stream=here.writes_stream,
        part=here.part,
    )
