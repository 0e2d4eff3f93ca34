"""Choices as people type them: `mup:form=table3,zero_readout=false`."""

from collections.abc import Mapping

from muscope import catalogue
from muscope.catalogue import ModelEntry, Option, Options, OptionValue, ParametrizationEntry
from muscope.catalogue.rules import Choice


def choice_of(text: str) -> Choice:
    """The parametrization that `NAME[:OPTIONS]` is, or ValueError with a sentence."""
    return Choice(*named("parametrization", text, catalogue.PARAMETRIZATION_ENTRIES))


def named(
    kind: str, text: str, entries: Mapping[str, ParametrizationEntry | ModelEntry]
) -> tuple[str, Options]:
    """The name and the options of `NAME[:OPTIONS]`, or ValueError with a sentence."""
    name, _, written = text.partition(":")
    known_as(kind, name, entries)
    known = {option.name: option for option in entries[name].options}
    given: dict[str, OptionValue] = {}
    for part in filter(None, written.split(",")):
        key, _, value = part.partition("=")
        given[key] = _value(known[key], value) if key in known else value
    catalogue.complete_options(given, tuple(known.values()))
    return name, given


def known_as(kind: str, name: str, entries: Mapping[str, object]) -> None:
    """ValueError with all that there are, where there is no such one."""
    if name not in entries:
        raise ValueError(f"unknown {kind} {name!r}; allowed: {', '.join(entries)}")


def _value(option: Option, text: str) -> OptionValue:
    match option.default:
        case bool():
            return {"true": True, "false": False}.get(text, text)
        case int():
            return _parsed(int, text)
        case float():
            return _parsed(float, text)
        case _:
            return text


def _parsed(kind: type[int] | type[float], text: str) -> OptionValue:
    try:
        return kind(text)
    except ValueError:
        return text
