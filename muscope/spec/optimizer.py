"""The optimizer of a spec."""

from typing import Self

from pydantic import Field, model_validator

from muscope import catalogue
from muscope.spec.chosen import known, titled
from muscope.spec.frozen import Frozen, fill
from muscope.spec.limits import LearningRate


class OptimizerSpec(Frozen):
    """An optimizer of the catalogue with its base learning rate."""

    name: str
    learning_rate: LearningRate
    options: catalogue.Options = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="after")
    def _known(self) -> Self:
        entry = known("optimizer", self.name, catalogue.OPTIMIZERS)
        options = catalogue.complete_options(self.options, entry.options)
        fill(self, name=entry.name, options=options)
        return self

    @property
    def title(self) -> str:
        """Its title and learning rate, and what was chosen otherwise than by default."""
        entry = catalogue.OPTIMIZERS[self.name]
        return titled(f"{entry.title} {self.learning_rate:g}", self.options, entry.options)

    @property
    def complete(self) -> catalogue.Options:
        """Every option with its value, the silent ones too."""
        return catalogue.with_defaults(self.options, catalogue.OPTIMIZERS[self.name].options)
