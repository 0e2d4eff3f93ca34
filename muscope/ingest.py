"""What a recorder sends: an opening, batches of measurements, and a closing. Plain and strict.

A number that is not finite travels as "nan", "inf" or "-inf", since JSON has none.
"""

import hashlib
import math
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, model_validator

from muscope.recorded import Depth, Name, RecordedVariant, Seed, Width
from muscope.records import Values
from muscope.spec import Frozen, clean_name
from muscope.vocabulary import Role, Statistic, TensorKind

PROTOCOL = 1
MOST_ROWS = 20_000
"""Measurements in one batch."""
MOST_TENSORS = 5_000
"""Tensors of one study."""
LAST_STEP = 2**31 - 1
_SIGNED = (Statistic.MEAN, Statistic.ALIGN_W, Statistic.ALIGN_X, Statistic.ALIGN_WX)
"""Every other statistic is a size or a share; a sign would be lost in its logarithm."""

_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


def as_word(value: float) -> float | str:
    """A number as it travels."""
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def _as_number(value: object) -> object:
    return _WORDS.get(value, value) if isinstance(value, str) else value


def _shown(text: str) -> str:
    return clean_name(text) if text else text


Number = Annotated[
    float,
    Field(allow_inf_nan=True),
    BeforeValidator(_as_number),
    PlainSerializer(as_word),
]
Step = Annotated[int, Field(ge=0, le=LAST_STEP)]
TensorName = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(clean_name)]
RecordingId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Line = Annotated[str, Field(max_length=200), AfterValidator(_shown)]
Reason = Annotated[str, Field(max_length=600), AfterValidator(_shown)]
Ended: TypeAlias = Literal["finished", "failed", "cancelled"]


class Opening(Frozen):
    """One training run says that it begins: of which study, what it trains, at which place.

    `environment` is where it runs; the device and the version of torch are shown, if they are
    among it. `study` is the name, `key` what recordings of one study share.
    """

    protocol: Literal[1] = 1
    recording: RecordingId
    study: Name
    key: Name
    variant: RecordedVariant
    width: Width
    depth: Depth
    seed: Seed
    environment: Annotated[dict[Name, Line], Field(max_length=16)] = Field(default_factory=dict)


class TensorLine(Frozen):
    """A tensor of a batch: its rows name it by its place in the list."""

    name: TensorName
    role: Role
    kind: TensorKind = TensorKind.ACTIVATION
    is_judged: bool = True


class Row(Frozen):
    """The statistics of one tensor at one step."""

    step: Step
    tensor: Annotated[int, Field(ge=0)]
    values: Annotated[dict[Statistic, Number], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_sizes(self) -> Self:
        for name, value in self.values.items():
            refuse_negative(name, value)
        return self

    @property
    def measured(self) -> Values:
        """The same as the rest of the house has it."""
        return Values(**{name.value: value for name, value in self.values.items()})


class Loss(Frozen):
    """The loss of the forward at a step, and that on held-out data if there is one."""

    step: Step
    train: Number
    held_out: Number | None = None


class Batch(Frozen):
    """Some measurements of a recording, numbered from 0 without a gap; none comes twice."""

    seq: Annotated[int, Field(ge=0, le=LAST_STEP)]
    tensors: Annotated[tuple[TensorLine, ...], Field(max_length=MOST_TENSORS)] = ()
    rows: Annotated[tuple[Row, ...], Field(max_length=MOST_ROWS)] = ()
    losses: Annotated[tuple[Loss, ...], Field(max_length=MOST_ROWS)] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        lines = [(line.name, line.kind) for line in self.tensors]
        if len(set(lines)) < len(lines):
            raise ValueError("a tensor is listed twice with the same kind")
        seen: set[tuple[int, int]] = set()
        for row in self.rows:
            if row.tensor >= len(lines):
                raise ValueError(f"a row names tensor {row.tensor} of {len(lines)}")
            if (row.step, row.tensor) in seen:
                name, kind = lines[row.tensor]
                raise ValueError(f"{kind.value} {name!r} is there twice at step {row.step}")
            seen.add((row.step, row.tensor))
        steps = [loss.step for loss in self.losses]
        if len(set(steps)) < len(steps):
            raise ValueError("a step has two losses")
        return self


class Closing(Frozen):
    """A recording says that it is complete: how many batches and rows, and how it ended."""

    batches: Annotated[int, Field(ge=0, le=LAST_STEP)]
    rows: Annotated[int, Field(ge=0)]
    ended: Ended = "finished"
    reason: Reason = ""


def refuse_negative(statistic: Statistic, value: float, of: str = "") -> None:
    """A size or a share has no sign; ValueError where it has one."""
    if value < 0 and statistic not in _SIGNED:
        raise ValueError(f"{statistic.value}{of} cannot be negative, got {value!r}")


def digest(body: bytes) -> str:
    """What tells two deliveries of the same from two that differ."""
    return hashlib.sha256(body).hexdigest()
