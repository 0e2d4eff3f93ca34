"""The parametrization of a spec."""

from collections.abc import Mapping
from typing import Self

from pydantic import Field, model_validator

from muscope import catalogue
from muscope.catalogue.rules import Choice
from muscope.spec.chosen import known, titled
from muscope.spec.frozen import Frozen, fill, silent
from muscope.theory.faults import FAULTS


class ParametrizationSpec(Frozen):
    """A parametrization of the catalogue with its switches.

    With a `fault` one thing of its rules is broken on purpose; what theory expects stays.
    """

    name: str
    options: catalogue.Options = Field(default_factory=dict, validate_default=True)
    fault: str = silent("")

    @model_validator(mode="after")
    def _known(self) -> Self:
        entry = known("parametrization", self.name, catalogue.PARAMETRIZATION_ENTRIES)
        options = catalogue.complete_options(self.options, entry.options)
        fill(self, name=entry.name, options=options)
        if self.fault:
            known("fault", self.fault, FAULTS)
        return self

    @property
    def complete(self) -> catalogue.Options:
        """Every option with its value, the silent ones too."""
        entry = catalogue.PARAMETRIZATION_ENTRIES[self.name]
        return catalogue.with_defaults(self.options, entry.options)

    @property
    def title(self) -> str:
        """Its title, with what was chosen otherwise than by default: `µP (table3)`."""
        entry = catalogue.PARAMETRIZATION_ENTRIES[self.name]
        title = titled(entry.title, self.options, entry.options)
        if not self.fault:
            return title
        return f"{title}, broken: {FAULTS[self.fault].title}"

    @property
    def choice(self) -> Choice:
        """What the rules are asked for."""
        return Choice(self.name, self.options, self.fault)

    def moved(self, octaves: Mapping[str, float]) -> "ParametrizationSpec":
        """The same with these multipliers so many octaves higher."""
        given = self.complete
        values = {name: float(given[name]) * 2.0**octave for name, octave in octaves.items()}
        return self.model_copy(update={"options": {**self.options, **values}})

    @property
    def zero_readout(self) -> bool:
        """Whether the readout starts at exactly zero."""
        return bool(self.options["zero_readout"])
