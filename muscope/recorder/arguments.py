"""What a training loop gives to a recorder, checked: a mistake in it is told at once."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from muscope.catalogue import OPTIMIZERS
from muscope.ingest import refuse_negative
from muscope.recorded import RecordedVariant
from muscope.spec import ParametrizationSpec
from muscope.spec_file import explain, sentence
from muscope.vocabulary import Role, Statistic

Model = TypeVar("Model", bound=BaseModel)
Word = TypeVar("Word", bound=StrEnum)


def checked(model: type[Model], **fields: object) -> Model:
    """The model, or ValueError with a sentence per field."""
    try:
        return model(**fields)
    except ValidationError as error:
        faults = (sentence(path, message) for path, message in explain(error))
        raise ValueError("; ".join(faults)) from None


def word(words: type[Word], what: str, given: str) -> Word:
    """The member of that name; ValueError with those that there are."""
    try:
        return words(given)
    except ValueError:
        allowed = ", ".join(one.value for one in words)
        raise ValueError(f"unknown {what} {given!r}; allowed: {allowed}") from None


def number(what: str, value: Any) -> float:
    """A number of Python, whatever kind of scalar it was."""
    try:
        # torch warns of a scalar that still belongs to a graph
        return float(value.detach() if hasattr(value, "detach") else value)
    except (TypeError, ValueError, RuntimeError):
        raise ValueError(f"{what} must be a number, got {value!r:.80}") from None


def values_of(name: str, values: Mapping[str, float]) -> dict[Statistic, float]:
    """The statistics of a tensor."""
    if not values:
        raise ValueError(f"{name!r} has no statistics; give it at least l1")
    found = {}
    for given, value in values.items():
        statistic = word(Statistic, "statistic", given)
        found[statistic] = number(f"{given} of {name!r}", value)
        refuse_negative(statistic, found[statistic], of=f" of {name!r}")
    return found


def variant(
    label: str,
    optimizer: str | Mapping[str, str],
    parametrization: str,
    options: Mapping[str, bool | int | float | str] | None,
    planned_runs: int,
) -> RecordedVariant:
    """What gets a verdict; one optimizer is that of all weights."""
    weights = (Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT)
    by_role = dict.fromkeys(weights, optimizer) if isinstance(optimizer, str) else optimizer
    rule = None
    if parametrization:
        rule = checked(ParametrizationSpec, name=parametrization, options=dict(options or {}))
    return checked(
        RecordedVariant,
        label=label,
        optimizers={
            word(Role, "role", role): _optimizer(name) for role, name in by_role.items() if name
        },
        parametrization=rule,
        planned_runs=planned_runs,
    )


def _optimizer(name: str) -> str:
    if name not in OPTIMIZERS:
        raise ValueError(f"unknown optimizer {name!r}; allowed: {', '.join(OPTIMIZERS)}")
    return name
