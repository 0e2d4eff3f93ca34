"""The recipe that was asked for, in the same words on the command line and in Python."""

from muscope import catalogue
from muscope.catalogue.written import choice_of, known_as
from muscope.lab.own.rule import Recipe
from muscope.own_model.grid import Option


def recipe(
    parametrize: str, optimizer: str, lr: float, *, has_depth: bool, option: Option
) -> Recipe | None:
    """The rule, optimizer and rate that were asked for, None where the model keeps its own.

    Empty and zero: not given. ValueError where they do not go together.
    """
    if not (parametrize or optimizer or lr):
        return None
    if not optimizer:
        given = option("parametrize" if parametrize else "lr")
        raise ValueError(f"{given} needs {option('optimizer')}: the rates of a rule depend on it")
    known_as("optimizer", optimizer, catalogue.OPTIMIZERS)
    if not 0 <= lr < float("inf"):
        raise ValueError(f"{option('lr')} must be a positive number, got {lr}")
    choice = choice_of(parametrize) if parametrize else None
    made = Recipe(choice, optimizer, lr or catalogue.OPTIMIZERS[optimizer].learning_rate)
    if complaint := made.complaint(has_depth=has_depth):
        raise ValueError(complaint)
    return made
