"""What the lab yields and everyone else reads: plain values, no torch, no database."""

from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from muscope.vocabulary import Role, Statistic, TensorKind


class Values(NamedTuple):
    """The statistics of one tensor at one step, in the order of `Statistic`.

    A tuple, because there are a million of them. None is what was not recorded or has no meaning
    there, such as a change at step 0; nan and infinity are results: divergence.
    """

    l1: float | None = None
    rms: float | None = None
    change: float | None = None
    mean: float | None = None
    max_abs: float | None = None
    contribution: float | None = None
    spectral: float | None = None
    stable_rank: float | None = None
    align_w: float | None = None
    align_x: float | None = None
    align_wx: float | None = None
    underflow: float | None = None
    overflow: float | None = None


PLACES = {statistic: place for place, statistic in enumerate(Statistic)}
"""Where in `Values` each statistic stands."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """The statistics of one tensor of one member of a bundle at one step."""

    member: int
    tensor: str
    kind: TensorKind
    values: Values


@dataclass(frozen=True, slots=True)
class Extra:
    """One number of a plugin's statistic, of one tensor of one member at one step."""

    member: int
    tensor: str
    kind: TensorKind
    statistic: str
    value: float


EXTRA_HEADER = (
    "variant", "width", "depth", "batch_size", "seed", "step", "tensor", "role", "kind",
    "statistic", "value",
)  # fmt: skip
"""One number of a plugin's statistic with its coordinates in the grid, as the CSV has it."""

ExtraRow: TypeAlias = tuple[str | int | float | None, ...]
"""The same as a row."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Where one member of a bundle stands after a step; the loss is that of the forward at it.

    `grad_norm` is that of all weights there, where it was asked for and a gradient was taken.
    """

    member: int
    train_loss: float
    eval_loss: float | None = None
    grad_norm: float | None = None


@dataclass(frozen=True, slots=True)
class StepRecord:
    """All that one step of a bundle gave: `step` t is the forward after t updates.

    `measurements` is empty at the steps that a long run does not record.
    """

    step: int
    measurements: tuple[Measurement, ...]
    progress: tuple[Progress, ...]
    extras: tuple[Extra, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement with its coordinates in the grid: what verdicts, charts and CSV read.

    `batch_size` is None where it is not known.
    """

    variant: str
    width: int
    depth: int
    seed: int
    step: int
    tensor: str
    role: Role
    kind: TensorKind
    values: Values
    batch_size: int | None = None

    def value(self, statistic: Statistic) -> float | None:
        """The value of one statistic, None where it was not recorded."""
        return self.values[PLACES[statistic]]
