"""The coordinate check beside a sweep."""

from typing import Annotated

from pydantic import AfterValidator

from muscope.recording import Record
from muscope.spec.frozen import Frozen
from muscope.spec.limits import Seeds, Steps

STEPS_AFTER_WARMUP = 4
"""Of a coordinate check, as many as one without warm-up has."""


def with_statistics(record: Record) -> Record:
    """What a coordinate check records; ValueError where that is losses alone."""
    if record == "losses":
        raise ValueError("a coordinate check needs statistics: record at least activations")
    return record


class CheckSpec(Frozen):
    """The coordinate check that a learning-rate study runs beside its sweep.

    Every variant is trained at its own learning rate, on one batch, at the widths and depths of the
    sweep. Without `steps` there are four after the longest warm-up: in it a rate shows little.
    """

    seeds: Seeds = 5
    steps: Steps | None = None
    record: Annotated[Record, AfterValidator(with_statistics)] = "activations"
