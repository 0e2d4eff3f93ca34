"""What the lab yields and everyone else reads: plain values, no torch, no database."""

from dataclasses import dataclass

from muscope.vocabulary import Role, Statistic, TensorKind


@dataclass(frozen=True, slots=True)
class Measurement:
    """The statistics of one tensor of one member of a bundle at one step.

    Values may be nan or infinite: divergence is a result. `change` is None at step 0, where it
    has no meaning.
    """

    member: int
    tensor: str
    kind: TensorKind
    l1: float
    rms: float
    change: float | None


@dataclass(frozen=True, slots=True)
class Progress:
    """Where one member of a bundle stands after a step; the loss is that of the forward at it."""

    member: int
    train_loss: float


@dataclass(frozen=True, slots=True)
class StepRecord:
    """All that one step of a bundle gave: `step` t is the forward after t updates."""

    step: int
    measurements: tuple[Measurement, ...]
    progress: tuple[Progress, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement with its coordinates in the grid: what verdicts, charts and CSV read."""

    variant: str
    width: int
    depth: int
    seed: int
    step: int
    tensor: str
    role: Role
    kind: TensorKind
    l1: float
    rms: float
    change: float | None

    def value(self, statistic: Statistic) -> float | None:
        """The value of one statistic, None where it was not recorded."""
        match statistic:
            case Statistic.L1:
                return self.l1
            case Statistic.RMS:
                return self.rms
            case Statistic.CHANGE:
                return self.change
