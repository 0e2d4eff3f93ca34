"""Which multipliers a search can tune: those of a parametrization that change anything."""

from dataclasses import replace
from functools import lru_cache
from typing import TypeAlias

from muscope.catalogue.options import Options, OptionValue
from muscope.catalogue.parametrizations import PARAMETRIZATION_ENTRIES
from muscope.catalogue.rules import (
    Choice,
    Size,
    attention_scale,
    complaint,
    dimensions,
    operator_scales,
    residual_multiplier,
    tied_multiplier,
    weight_rules,
)

_SOME = Size(2**22, 4, 2**20, 1)
"""Wide enough for every number and size of heads."""

Items: TypeAlias = tuple[tuple[str, OptionValue], ...]


def acting(
    parametrization: Choice, optimizer: str, model: str, options: Options
) -> tuple[str, ...]:
    """The names of those that change any number of a model, in the catalogue's order."""
    own = tuple(sorted(parametrization.options.items()))
    of_model = tuple(sorted(options.items()))
    return _acting((parametrization.name, own, parametrization.fault), optimizer, (model, of_model))


@lru_cache(maxsize=1024)  # every page that counts the runs of a search asks
def _acting(
    choice: tuple[str, Items, str], optimizer: str, of_model: tuple[str, Items]
) -> tuple[str, ...]:
    name, own, fault = choice
    given, (model, of) = Choice(name, dict(own), fault), of_model
    options, known = dict(of), given.complete
    if complaint(given, optimizer, model, options):  # which whoever asks will say
        return ()
    left = _numbers(given, optimizer, model, options)
    doubled = {
        one: replace(given, options={**given.options, one: 2 * known[one]})
        for one in PARAMETRIZATION_ENTRIES[name].tuned
    }
    return tuple(
        one for one, other in doubled.items() if _numbers(other, optimizer, model, options) != left
    )


def _numbers(
    parametrization: Choice, optimizer: str, model: str, options: Options
) -> tuple[object, ...]:
    dims = dimensions(model, options, _SOME)
    has_branches = any(weight.in_branch for weight in dims.values())
    where = (parametrization, model, options, _SOME)
    is_tied = bool(options.get("tied_embeddings"))
    return (
        weight_rules(parametrization, optimizer, dims),
        attention_scale(*where),
        residual_multiplier(*where) if has_branches else 1.0,
        operator_scales(*where),
        tied_multiplier(parametrization, optimizer, model, options, _SOME) if is_tied else 1.0,
    )
