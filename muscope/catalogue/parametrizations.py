"""The parametrizations that can be chosen, with their switches."""

from dataclasses import dataclass

from muscope.catalogue.options import Option
from muscope.theory.parametrizations import PARAMETRIZATIONS


@dataclass(frozen=True, slots=True)
class ParametrizationEntry:
    """A parametrization and its switches; the rules themselves are in muscope.theory."""

    name: str
    title: str
    source: str
    options: tuple[Option, ...]


_ZERO_READOUT = "Start the readout at zero (no legal exceptions at initialization)."

PARAMETRIZATION_ENTRIES: dict[str, ParametrizationEntry] = {
    name: ParametrizationEntry(
        name=name,
        title=PARAMETRIZATIONS[name].title,
        source=PARAMETRIZATIONS[name].source,
        options=(Option("zero_readout", zero_readout, _ZERO_READOUT),),
    )
    for name, zero_readout in (("sp", False), ("mup", True))
}
