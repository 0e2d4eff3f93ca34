"""The model of a spec."""

from typing import Self

from pydantic import Field, model_validator

from muscope import catalogue
from muscope.spec.chosen import known, titled
from muscope.spec.frozen import Frozen, fill
from muscope.spec.limits import BatchSize


class ModelSpec(Frozen):
    """A model of the catalogue with its options and batch; its dataset comes with it."""

    name: str
    batch_size: BatchSize
    options: catalogue.Options = Field(default_factory=dict, validate_default=True)

    @model_validator(mode="after")
    def _known(self) -> Self:
        entry = known("model", self.name, catalogue.MODELS)
        options = catalogue.complete_options(self.options, entry.options)
        fill(self, name=entry.name, options=options)
        return self

    @property
    def title(self) -> str:
        """Its title, with what was chosen otherwise than by default: `GPT (biases)`."""
        entry = catalogue.MODELS[self.name]
        return titled(entry.title, self.options, entry.options)


def of_length(model: ModelSpec, length: int) -> ModelSpec:
    """A model that is trained on sequences of another length."""
    options = {**model.options, "sequence_length": length}
    return ModelSpec(name=model.name, batch_size=model.batch_size, options=options)
