"""A study of what somebody else's loops train: what is known of it, which grows as they report.

Nothing here is planned: the widths, depths and seeds are those of the recordings that were begun.
Pages read it where they read the spec of a planned study.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from muscope import spec
from muscope.catalogue import OPTIMIZERS
from muscope.recording import STATISTICS, Record
from muscope.spec import Frozen, ParametrizationSpec, StudySpec, clean_name, silent
from muscope.vocabulary import Role, Statistic, TensorKind

KIND = "recorded"
NOT_GIVEN = 0
"""The depth of a recording that says none."""

Name = Annotated[str, Field(min_length=1, max_length=120), AfterValidator(clean_name)]
Width = spec.Width
Depth = Annotated[int, Field(ge=NOT_GIVEN, le=512)]
Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
Runs = Annotated[int, Field(ge=0, le=spec.LARGEST_GRID)]


class RecordedVariant(Frozen):
    """What gets one verdict: a label, and what theory needs to know of what is trained.

    `optimizers` are the catalogue's names by role; a class that is not known is None. Without a
    `parametrization` the code has its own: then everything should keep its size. `readout` is the
    power of width of the readout's entries, with its multiplier, where a rule gives it.
    `planned_runs` are those that were announced or have begun.
    """

    label: Name
    optimizers: Annotated[dict[Role, Name | None], Field(max_length=len(Role))] = Field(
        default_factory=dict
    )
    parametrization: ParametrizationSpec | None = None
    is_unit_scaled: bool = silent(False)
    heads_grow: bool = silent(False)
    zero_readout: bool = silent(False)
    tied: bool = silent(False)
    readout: Annotated[float, Field(ge=-16, le=16)] | None = silent(None)
    planned_runs: Runs = silent(0)

    @field_validator("optimizers")
    @classmethod
    def _known(
        cls, optimizers: dict[Role, str | None], info: ValidationInfo
    ) -> dict[Role, str | None]:
        for name in optimizers.values():
            if info.context is not spec.STORED and name is not None and name not in OPTIMIZERS:
                raise ValueError(f"unknown optimizer {name!r}; allowed: {', '.join(OPTIMIZERS)}")
        return optimizers

    @property
    def key(self) -> str:
        """Unique within its study: the label, since equal labels are one variant."""
        return self.label


class RecordedSpec(Frozen):
    """What a recorded study holds so far; `key` is what recordings find it by.

    `seeds` counts the different ones.
    """

    version: Literal[1] = 1
    name: Name
    kind: Literal["recorded"] = "recorded"
    key: Name
    variants: Annotated[tuple[RecordedVariant, ...], Field(min_length=1, max_length=64)]
    widths: tuple[Width, ...]
    depths: tuple[Depth, ...]
    seeds: Annotated[int, Field(ge=1)]
    record: Record = "activations"

    @property
    def coordinate_check(self) -> Self:
        """What of it is a coordinate check: all, as in a planned study."""
        return self

    @property
    def sweep(self) -> None:
        """Nothing of it is a learning-rate study."""
        return None

    @property
    def run_count(self) -> int:
        """Runs that have begun or were announced."""
        return sum(variant.planned_runs for variant in self.variants)


@dataclass(frozen=True, slots=True)
class RecordedTensor:
    """A tensor that was recorded; one that is not judged is shown."""

    name: str
    role: Role
    is_judged: bool = True


AnySpec: TypeAlias = StudySpec | RecordedSpec


def stored(text: str) -> AnySpec:
    """The spec of any stored study."""
    if json.loads(text)["kind"] == KIND:
        return RecordedSpec.model_validate_json(text, context=spec.STORED)
    return spec.stored(text)


def record_of(seen: Mapping[TensorKind, set[Statistic]], before: Record) -> Record:
    """The least choice of what a study records that holds all of this, and what it was before."""
    wanted = {(kind, name) for kind, names in seen.items() for name in names}
    wanted |= {(kind, name) for kind, names in STATISTICS[before].items() for name in names}
    for choice, recorded in STATISTICS.items():
        if wanted <= {(kind, name) for kind, names in recorded.items() for name in names}:
            return choice
    return "full"
