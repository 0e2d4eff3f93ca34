"""One run of a study."""

import math
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from muscope.recording import Record, recorded_steps
from muscope.spec.chosen import Statistics
from muscope.spec.frozen import Frozen, silent
from muscope.spec.limits import (
    BatchSize,
    Depth,
    HeldOut,
    Octave,
    RecordEvery,
    SequenceLength,
    Steps,
    Width,
)
from muscope.spec.model import ModelSpec, of_length
from muscope.spec.parametrization import ParametrizationSpec
from muscope.spec.variant import Variant

Batches: TypeAlias = Literal["fixed", "fresh"]
"""One batch for all steps and seeds; or one per step, in an order that the seed decides."""


class RunSpec(Frozen):
    """One model trained once: everything that decides its numbers.

    Its learning rate is 2^octave times that of its variant's optimizer; its batch size and sequence
    length are those of its variant's model where it has none of its own; every multiplier that is
    `tuned` is 2^octave times that of its variant's parametrization. With `gradient_norm` every step
    says that of all weights.
    """

    variant: Variant
    width: Width
    depth: Depth
    base_width: Width
    base_depth: Depth
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)]
    steps: Steps
    record: Record = silent("activations")
    batches: Batches = silent("fixed")
    octave: Octave = silent(0.0)
    held_out: HeldOut = silent(0)
    batch_size: BatchSize | None = silent(None)
    statistics: Statistics = silent(())
    record_every: RecordEvery | None = silent(None)
    sequence_length: SequenceLength | None = silent(None)
    tuned: dict[str, Octave] = Field(default_factory=dict, exclude_if=lambda tuned: not tuned)
    gradient_norm: bool = silent(False)

    @property
    def recorded_steps(self) -> tuple[int, ...]:
        """The steps at which statistics are recorded."""
        return recorded_steps(self.steps, self.record_every)

    @property
    def model(self) -> ModelSpec:
        """The model with the batch size and the sequence length of this run."""
        own = self.variant.model
        if self.sequence_length is not None:
            own = of_length(own, self.sequence_length)
        if self.batch_size is None:
            return own
        return own.model_copy(update={"batch_size": self.batch_size})

    @property
    def parametrization(self) -> ParametrizationSpec:
        """The parametrization with the multipliers of this run."""
        own = self.variant.parametrization
        return own.moved(self.tuned) if self.tuned else own

    @property
    def learning_rate(self) -> float:
        """The base learning rate that this run trains with."""
        return self.variant.optimizer.learning_rate * math.exp2(self.octave)
