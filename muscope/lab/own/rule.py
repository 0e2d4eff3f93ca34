"""A user's model parametrized by a rule of the catalogue: first values, multipliers, rates."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from muscope import catalogue
from muscope.catalogue import rules as catalogue_rules
from muscope.catalogue.own_dims import dims
from muscope.catalogue.rules import Choice, Size
from muscope.lab import optimizers, streams
from muscope.lab.optimizers.optimizer import Rates, State
from muscope.own_model.facts import Built, Layout, Parameter
from muscope.own_model.roles import OwnRole
from muscope.theory.rule import WeightDims, WeightRule
from muscope.vocabulary import Role

_RANDOM = (Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT)


@dataclass(frozen=True, slots=True)
class OwnRule:
    """What becomes of one parameter: `multipliers` by the names of the places where it is used."""

    role: Role
    layout: Layout
    rule: WeightRule
    multipliers: Mapping[str, float]
    start: float | None

    @property
    def entries(self) -> float:
        """The size of the effective entries at the start; 0 if they are not random."""
        return self.rule.multiplier * self.rule.init_std


@dataclass(frozen=True, slots=True)
class Recipe:
    """A rule, an optimizer and a learning rate, for every parameter of a model.

    Without a `choice` the model starts as its own code made it, with one rate for all.
    """

    choice: Choice | None
    optimizer: str
    learning_rate: float

    def complaint(self, *, has_depth: bool) -> str | None:
        """Why this cannot be done to a model from outside, or None."""
        entry = catalogue.OPTIMIZERS[self.optimizer]
        if entry.draws_labels:
            return (
                f"optimizer {self.optimizer!r} draws labels from the model's softmax, and of a "
                "model of yours nobody knows it; take 'adamw'"
            )
        if self.choice is None:
            return None
        name = self.choice.name
        if catalogue.PARAMETRIZATION_ENTRIES[name].operators != "plain":
            return (
                f"parametrization {name!r} is made of operators of its own, which cannot be put "
                "into a model from outside: write it with the package unit_scaling and leave "
                "--parametrize out"
            )
        if self.choice.theory.needs_branches and not has_depth:
            return f"parametrization {name!r} needs the depth: give --depths"
        return None


def rules(
    recipe: Recipe, built: Built, base: Built, roles: Mapping[str, OwnRole], base_depth: int | None
) -> dict[str, OwnRule]:
    """The rule of every parameter of a model; ValueError where there is none."""
    depth = built.depth or 1
    size = Size(built.width, depth, base.width, base_depth or depth)
    return {
        parameter.name: _rule(recipe, parameter, roles[parameter.name], size)
        for parameter in built.parameters
    }


def _rule(recipe: Recipe, parameter: Parameter, role: OwnRole, size: Size) -> OwnRule:
    if recipe.choice is None:
        plain = WeightRule(1.0, 0.0, 1.0, 1.0, 1.0)
        return OwnRule(role.role, parameter.layout, plain, {}, None)
    choice = recipe.choice
    rule = _catalogue_rule(choice, recipe.optimizer, dims(role, role.role, size))
    branch = 1.0
    if role.writes_stream:
        branch = choice.theory.residual_multiplier(size.depth, size.base_depth, choice.complete)
    multipliers = {parameter.name: rule.multiplier * branch}
    for name, layout in zip(parameter.aliases, parameter.alias_layouts, strict=True):
        multipliers[name] = rule.multiplier * branch
        if role.tied and layout is not Layout.TABLE:
            readout = dims(role, Role.OUTPUT, size)
            multipliers[name] = _tied(choice, recipe.optimizer, rule, readout, parameter.name)
    return OwnRule(role.role, parameter.layout, rule, multipliers, _start(parameter, rule))


def _catalogue_rule(choice: Choice, optimizer: str, of: WeightDims) -> WeightRule:
    return catalogue_rules.weight_rules(choice, optimizer, {"": of})[""]


def _tied(choice: Choice, optimizer: str, lookup: WeightRule, of: WeightDims, name: str) -> float:
    """A_out B_out / B_emb, as of the catalogue's tied models (docs/facts.md 2.4)."""
    if choice.complete["zero_readout"]:
        raise ValueError(
            f"{name} is embedding and readout in one tensor, and parametrization {choice.title} "
            "starts a readout at zero; set zero_readout to false"
        )
    readout = _catalogue_rule(choice, optimizer, of)
    if abs(readout.learning_rate_factor / lookup.learning_rate_factor - 1) > 1e-9:
        raise ValueError(
            f"{name} is embedding and readout in one tensor, and parametrization {choice.title} "
            "gives the two different learning rates; take mup:form=table8 or sp:init=gpt2"
        )
    return readout.multiplier * readout.init_std / lookup.init_std


def _start(parameter: Parameter, rule: WeightRule) -> float | None:
    """What a bias or a gain starts from, divided by its multiplier; None: as it was built."""
    if "bias" in parameter.name.rpartition(".")[2]:
        return 0.0
    return parameter.values.mean / rule.multiplier if parameter.values.is_constant else None


class _Times(nn.Module):
    """A weight times its multiplier: what the module sees."""

    def __init__(self, multiplier: float) -> None:
        super().__init__()
        self.multiplier = multiplier

    def forward(self, weight: Tensor) -> Tensor:
        """The effective weight."""
        return self.multiplier * weight


def start(model: nn.Module, found: Mapping[str, OwnRule], *, seed: int) -> None:
    """Give every parameter its first values, and every place its multiplier."""
    parameters = dict(model.named_parameters(remove_duplicate=False))
    for name, own in found.items():
        with torch.no_grad():
            _fill(parameters[name], name, own, seed=seed)
        for place, multiplier in own.multipliers.items():
            if multiplier != 1:
                _multiply(model, place, multiplier)


def _fill(weight: Tensor, name: str, own: OwnRule, *, seed: int) -> None:
    if not own.multipliers:  # no rule: as it was built
        return
    if own.role in _RANDOM:
        generator = streams.generator(f"init:{seed}:{name}")
        weight.copy_(torch.randn(weight.shape, generator=generator) * own.rule.init_std)
    elif own.start is not None:
        weight.fill_(own.start)


def _multiply(model: nn.Module, place: str, multiplier: float) -> None:
    owner, _, leaf = place.rpartition(".")
    module = model.get_submodule(owner)
    if isinstance(module, nn.RNNBase):
        raise ValueError(
            f"{place} has the multiplier {multiplier:.4g}, which {type(module).__name__} does not "
            "let in; take a form without multipliers in hidden weights, such as mup:form=table8"
        )
    parametrize.register_parametrization(module, leaf, _Times(multiplier), unsafe=True)


class LabStepper:
    """An optimizer of the lab that steps the parameters of a user's model, one by one."""

    def __init__(
        self, parameters: Mapping[str, nn.Parameter], found: Mapping[str, OwnRule], recipe: Recipe
    ) -> None:
        entry = catalogue.OPTIMIZERS[recipe.optimizer]
        self._options = catalogue.with_defaults({}, entry.options)
        self._own = {name: found[name] for name, p in parameters.items() if p.requires_grad}
        self._parameters = {name: parameters[name] for name in self._own}
        self._optimizers = {
            name: optimizers.build(recipe.optimizer, dict(self._options), own.role)
            for name, own in self._own.items()
        }
        self._learning_rate = recipe.learning_rate
        self._state: dict[str, State] = {}
        self._step = 0

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self._parameters.values():
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter that has a gradient."""
        self._step += 1
        for name, parameter in self._parameters.items():
            if parameter.grad is not None:
                self._update(name, parameter, parameter.grad)

    def _update(self, name: str, parameter: nn.Parameter, gradient: Tensor) -> None:
        layout, optimizer = self._own[name].layout, self._optimizers[name]
        stacked, slope = (_stacked(tensor, layout) for tensor in (parameter, gradient))
        if name not in self._state:
            self._state[name] = optimizer.start(stacked)
        updated, self._state[name] = optimizer.update(
            stacked, slope, state=self._state[name], rates=self._rates(name, stacked),
            step=self._step,
        )  # fmt: skip
        if layout in (Layout.TRANSPOSED, Layout.TRANSPOSED_CONVOLUTION) and parameter.ndim > 1:
            updated = updated.mT
        parameter.copy_(updated.reshape(parameter.shape))

    def _rates(self, name: str, like: Tensor) -> Rates:
        rule = self._own[name].rule
        numbers = (
            self._learning_rate * rule.learning_rate_factor,
            float(self._options.get("epsilon", 0.0)) * rule.epsilon_factor,
            float(self._options.get("weight_decay", 0.0)) * rule.weight_decay_factor,
        )
        return Rates(*(torch.full((1, 1, 1), n, device=like.device) for n in numbers))


def _stacked(tensor: Tensor, layout: Layout) -> Tensor:
    """As the lab has weights: (members, rows, columns), rows the outputs; a vector is a column."""
    tensor = tensor.detach()
    if tensor.ndim < 2 or layout is Layout.VECTOR:
        return tensor.reshape(1, -1, 1)
    if layout is Layout.UNKNOWN:
        return tensor.reshape(-1, *tensor.shape[-2:])
    rows = tensor.flatten(1)
    return (
        rows.mT[None]
        if layout in (Layout.TRANSPOSED, Layout.TRANSPOSED_CONVOLUTION)
        else rows[None]
    )
