"""What gets the verdict: its name, its optimizers, and what theory needs to know of it."""

import math
from collections.abc import Mapping, Sequence

from muscope import catalogue
from muscope.catalogue.rules import Choice
from muscope.lab.own.rule import Recipe
from muscope.own_check.question import OwnQuestion, Sized
from muscope.own_model import Built, OwnRole
from muscope.spec import OptimizerSpec, ParametrizationSpec
from muscope.verdicts.own import OwnVariant
from muscope.vocabulary import Role


def variant(question: OwnQuestion, built: Built, sizes: Sequence[Sized]) -> OwnVariant:
    """The model with its optimizer, or under a rule."""
    recipe = question.recipe
    is_zero = any(sized.activations.zero_output for sized in sizes)
    return OwnVariant(
        key=f"own-{_slug(question.name)}",
        label=f"{question.name} · {_title(recipe, built)}",
        optimizers=_optimizers(recipe, built, sizes[0].roles),
        choice=recipe.choice if recipe else None,
        is_unit_scaled=any("unit_scaling" in p.origin for p in built.parameters),
        heads_grow=any(sized.activations.heads_grow for sized in sizes),
        zero_readout=is_zero,
        tied=any(role.tied for role in sizes[0].roles.values()),
        readout=_readout(sizes[0]),
    )


def _readout(sized: Sized) -> float | None:
    """The power of the readout's entries by its rule, between the narrowest and the widest."""
    ends = min(sized.built), max(sized.built)
    name = next((n for n, role in sized.roles.items() if role.role is Role.OUTPUT), None)
    if name is None or not all(width in sized.rules for width in ends):
        return None
    entries = [sized.rules[width][name].entries for width in ends]
    if not all(entries):
        return None
    return round(math.log(entries[1] / entries[0]) / math.log(ends[1] / ends[0]), 9)


def _slug(target: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in target).strip("-")


def _title(recipe: Recipe | None, built: Built) -> str:
    if recipe is None:
        names = dict.fromkeys(s.class_name for p in built.parameters for s in p.steppings)
        return f"its own {' and '.join(names)}"
    optimizer = OptimizerSpec(name=recipe.optimizer, learning_rate=recipe.learning_rate)
    return f"{_rule_title(recipe.choice)} · {optimizer.title}"


def _rule_title(choice: Choice | None) -> str:
    if choice is None:
        return "as built"
    return ParametrizationSpec(name=choice.name, options=dict(choice.options)).title


def _optimizers(
    recipe: Recipe | None, built: Built, roles: Mapping[str, OwnRole]
) -> dict[Role, str | None]:
    if recipe is not None:
        of = catalogue.OPTIMIZERS[recipe.optimizer].for_role
        return {role: of(role) for role in (Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT)}
    found: dict[Role, str | None] = {}
    for parameter in built.parameters:
        for stepping in parameter.steppings:
            found.setdefault(roles[parameter.name].role, stepping.optimizer)
    return found
