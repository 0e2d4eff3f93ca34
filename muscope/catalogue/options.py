"""Switches and numbers that a choice may carry: completed with defaults, refused by name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

OptionValue: TypeAlias = bool | int | float
Options: TypeAlias = dict[str, OptionValue]


@dataclass(frozen=True, slots=True)
class Option:
    """One switch or number: its default fixes its type; a number lies within [low, high]."""

    name: str
    default: OptionValue
    help: str
    low: float = 0.0
    high: float = 0.0


def complete_options(options: Mapping[str, OptionValue], known: tuple[Option, ...]) -> Options:
    """Fill in defaults and refuse, with a sentence, what is unknown or out of range."""
    allowed = {option.name: option for option in known}
    for name in options:
        if name not in allowed:
            names = ", ".join(sorted(allowed)) or "none"
            raise ValueError(f"unknown option {name!r}; allowed: {names}")
    return {name: _checked(option, options.get(name)) for name, option in allowed.items()}


def _checked(option: Option, value: OptionValue | None) -> OptionValue:
    if value is None:
        return option.default
    kind = type(option.default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"option {option.name!r} must be {kind.__name__}, got {value!r}")
    if kind is not bool and not option.low <= value <= option.high:
        raise ValueError(
            f"option {option.name!r} must lie between {option.low:g} and {option.high:g}, "
            f"got {value!r}"
        )
    return value
