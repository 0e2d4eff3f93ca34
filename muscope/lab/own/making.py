"""One model at one size with what steps it: as its own code has it, or by a recipe."""

from collections.abc import Callable, Mapping

from torch import nn

from muscope.lab import own_model
from muscope.lab.own import rule
from muscope.lab.own.rule import OwnRule, Recipe
from muscope.lab.own.training import Stepper
from muscope.lab.own_model import OwnModelError

Made = tuple[nn.Module, list[Stepper]]


def as_built(build: Callable[..., object], width: int, depth: int | None, *, seed: int) -> Made:
    """With the optimizers that build returns."""
    model, held = own_model.model(build, width, depth, seed=seed)
    return model, list(held)


def by_recipe(made: Made, recipe: Recipe, rules: Mapping[str, OwnRule], *, seed: int) -> Made:
    """The same model with first values, multipliers and rates of a rule."""
    model, _ = made
    parameters = {name: model.get_parameter(name) for name in rules}
    try:
        rule.start(model, rules, seed=seed)
    except ValueError as error:
        raise OwnModelError(str(error)) from error
    return model, [rule.LabStepper(parameters, rules, recipe)]
