"""Switches and numbers that a choice may carry: completed with defaults, refused by name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

OptionValue: TypeAlias = bool | int | float | str
Options: TypeAlias = dict[str, OptionValue]


class Words(Protocol):
    """Words that are allowed beside those of an option: entries that plugins describe."""

    def offered(self) -> tuple[str, ...]:
        """Those that can be chosen now."""

    def full(self, word: str) -> str | None:
        """The full name of a word that is one of them, also of one that is offered no more."""


@dataclass(frozen=True, slots=True)
class Option:
    """A switch, a number within [low, high], one of `allowed`, or a word: its default says which.

    A word that is not one of `allowed` matches `pattern`, or is the default.

    `described` may allow more words, which come and go with plugins; `words` has them all.

    A `silent` option is left out of a spec at its default: it came after specs were stored, whose
    digests must stay what they were. `with_defaults` fills it in where it is used.
    """

    name: str
    default: OptionValue
    help: str
    low: float = 0.0
    high: float = 0.0
    allowed: tuple[OptionValue, ...] = ()
    silent: bool = False
    pattern: str = ""
    described: Words | None = None

    @property
    def words(self) -> tuple[OptionValue, ...]:
        """What can be chosen of it now, where that is a choice of words."""
        return (*self.allowed, *(self.described.offered() if self.described else ()))


def complete_options(options: Mapping[str, OptionValue], known: tuple[Option, ...]) -> Options:
    """Fill in defaults and refuse, with a sentence, what is unknown or out of range."""
    allowed = {option.name: option for option in known}
    for name in options:
        if name not in allowed:
            names = ", ".join(sorted(allowed)) or "none"
            raise ValueError(f"unknown option {name!r}; allowed: {names}")
    checked = {name: _checked(option, options.get(name)) for name, option in allowed.items()}
    return {
        name: value
        for name, value in checked.items()
        if not (allowed[name].silent and value == allowed[name].default)
    }


def with_defaults(options: Mapping[str, OptionValue], known: tuple[Option, ...]) -> Options:
    """Options as they are used: the silent ones are there too."""
    return {option.name: options.get(option.name, option.default) for option in known}


def in_words(options: Mapping[str, OptionValue], known: tuple[Option, ...]) -> str:
    """What was chosen otherwise than by default, of words and silent options: `swiglu, biases`."""
    values = ((option, options.get(option.name, option.default)) for option in known)
    return ", ".join(
        _in_words(option, value)
        for option, value in values
        if (option.allowed or option.silent) and value != option.default
    )


def _in_words(option: Option, value: OptionValue) -> str:
    name = option.name.replace("_", " ")
    if isinstance(value, bool):
        return name if value else f"no {name}"
    if isinstance(value, str):
        return value
    return f"{name} {value:g}"


_KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}


def _checked(option: Option, value: OptionValue | None) -> OptionValue:
    if value is None:
        return option.default
    kind = type(option.default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"option {option.name!r} must be {_KINDS[kind]}, got {value!r}")
    if option.allowed:
        full = option.described.full(str(value)) if option.described else None
        if value not in option.allowed and full is not None:
            return full
        if value not in option.allowed:
            names = ", ".join(map(str, option.words))
            raise ValueError(f"option {option.name!r} must be one of {names}, got {value!r}")
    elif isinstance(value, str):
        if value != option.default and not re.fullmatch(option.pattern, value):
            raise ValueError(
                f"option {option.name!r} must match {option.pattern}, got {value!r:.120}; "
                f"{option.help}"
            )
    elif not isinstance(value, bool) and not option.low <= value <= option.high:
        raise ValueError(
            f"option {option.name!r} must lie between {option.low:g} and {option.high:g}, "
            f"got {value!r}"
        )
    return value
