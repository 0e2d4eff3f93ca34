"""What a study asks, field by field, and what follows from it by arithmetic."""

import math
from collections.abc import Iterable, Iterator
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import Field

from muscope.recording import Record
from muscope.spec.axes import (
    TRANSFER_AXES,
    BatchSizes,
    Depths,
    Octaves,
    SequenceLengths,
    StepCounts,
    Widths,
)
from muscope.spec.check import CheckSpec
from muscope.spec.chosen import KnownStatistics
from muscope.spec.frozen import Frozen, silent
from muscope.spec.limits import Depth, ExtendOctaves, HeldOut, RecordEvery, Seeds, Steps, Width
from muscope.spec.names import PresetName, StudyId, StudyName
from muscope.spec.parametrization import ParametrizationSpec
from muscope.spec.run import Batches
from muscope.spec.variant import Arm, Variant
from muscope.tuning import Tuning
from muscope.vocabulary import Axis

Kind: TypeAlias = Literal["coordinate_check", "lr_transfer", "hyperparameter_search"]
"""Does every tensor keep its size with width; does the best learning rate stay where it is; or
which learning rate and multipliers are best, and are they so at a larger width?"""
Search: TypeAlias = Literal["full", "adaptive"]
"""Every learning rate at every width; or those that the smaller widths leave worth trying."""

OF_SWEEPS = (
    "octaves", "search", "held_out", "check", "sequence_lengths", "step_counts", "extend_octaves",
)  # fmt: skip
"""Fields that only learning-rate studies have."""


class Question(Frozen, defer_build=True):  # its validator would take as long as StudySpec's own
    """The fields of a study, each valid alone; a `StudySpec` is one whose fields fit together."""

    version: Annotated[int, Field(ge=1, le=1)] = 1
    name: StudyName
    kind: Kind = "coordinate_check"
    arms: Annotated[tuple[Arm, ...], Field(min_length=1, max_length=16)]
    parametrizations: Annotated[tuple[ParametrizationSpec, ...], Field(min_length=1, max_length=32)]
    widths: Widths
    depths: Depths = (2,)
    base_width: Width | None = None
    base_depth: Depth | None = None
    seeds: Seeds = 5
    steps: Steps = 4
    record: Record = silent("activations")
    batches: Batches = silent("fixed")
    stop_early: bool = silent(False)
    octaves: Octaves = silent(())
    search: Search = silent("full")
    held_out: HeldOut = silent(0)
    statistics: KnownStatistics = silent(())
    batch_sizes: BatchSizes = silent(())
    extends: StudyId | None = silent(None)
    record_every: RecordEvery | None = silent(None)
    check: CheckSpec | None = silent(None)
    tuning: Tuning | None = silent(None)
    sequence_lengths: SequenceLengths = silent(())
    step_counts: StepCounts = silent(())
    extend_octaves: ExtendOctaves = silent(0)
    preset: PresetName | None = silent(None)

    @property
    def shortest(self) -> int:
        """The fewest steps of any run."""
        return self.step_counts[0] if self.step_counts else self.steps

    @property
    def transfer_axes(self) -> tuple[Axis, ...]:
        """What the study varies, of what a learning rate may transfer over; it asks the first."""
        grids = TRANSFER_AXES.items()
        return tuple(axis for axis, grid in grids if len(getattr(self, grid)) > 1)

    @property
    def reachable_octaves(self) -> tuple[float, ...]:
        """The octaves, and those that later stages may add."""
        grid = self.octaves
        if not self.extend_octaves:
            return grid
        below, above = grid[1] - grid[0], grid[-1] - grid[-2]
        lower = [grid[0] - n * below for n in range(1, int(self.extend_octaves / below) + 1)]
        upper = [grid[-1] + n * above for n in range(1, int(self.extend_octaves / above) + 1)]
        return (*reversed(lower), *grid, *upper)

    @property
    def coordinate_check(self) -> Self | None:
        """What of it is a coordinate check: all, a part of a learning-rate study, or nothing."""
        if self.kind == "coordinate_check":
            return self
        if self.check is None:
            return None
        fields = type(self).model_fields
        own = {name: fields[name].default for name in (*OF_SWEEPS, "batches", "batch_sizes")}
        given = {name: getattr(self.check, name) for name in ("seeds", "steps", "record")}
        return self.model_copy(update={**own, **given, "kind": "coordinate_check"})

    @property
    def sweep(self) -> Self | None:
        """What of it is a learning-rate study alone, or nothing."""
        if self.kind != "lr_transfer":
            return None
        return self if self.check is None else self.model_copy(update={"check": None})

    @property
    def parts(self) -> tuple[Self, ...]:
        """What it asks, each a study as if it were alone, in the order of its runs."""
        if self.check is None:
            return (self,)
        return tuple(part for part in (self.coordinate_check, self.sweep) if part is not None)

    @property
    def variants(self) -> tuple[Variant, ...]:
        """Everything that gets a verdict of its own, in the order of the spec."""
        return tuple(
            Variant(model=arm.model, parametrization=parametrization, optimizer=optimizer)
            for arm in self.arms
            for optimizer in arm.optimizers
            for parametrization in self.parametrizations
        )

    @property
    def run_count(self) -> int:
        """Runs in the grid, as a product: nothing is expanded before this is checked."""
        if self.check is not None:
            return sum(part.run_count for part in self.parts)
        optimizers = sum(len(arm.optimizers) for arm in self.arms)
        variants = optimizers * len(self.parametrizations)
        if self.tuning is not None:
            tried = sum(self.sets_at_most(variant) for variant in self.variants)
            return (tried + variants * sum(self.tuning.keep)) * self.seeds
        rates = len(self.reachable_octaves) or 1
        shapes = math.prod(len(getattr(self, grid)) or 1 for grid in TRANSFER_AXES.values())
        return variants * shapes * rates * self.seeds

    @property
    def has_stages(self) -> bool:
        """Whether later runs depend on earlier results: then the grid is the most there can be."""
        if self.tuning is not None:
            return True
        return self.search == "adaptive" or self.stop_early or self.extend_octaves > 0

    def tuned_names(self, variant: Variant) -> tuple[str, ...]:
        """The multipliers of a variant that a search tunes."""
        ranges = self.tuning.ranges if self.tuning else {}
        return tuple(name for name in variant.acting if name in ranges)

    def sets_at_most(self, variant: Variant) -> int:
        """How many sets of a variant a search tries at the smallest width at most."""
        names = self.tuned_names(variant)
        return self.tuning.most(names, self.octaves) if self.tuning else 0

    def chosen_of(self, names: Iterable[str]) -> Iterator[str]:
        """Those of these fields that are not at their default."""
        fields = type(self).model_fields
        return (name for name in names if getattr(self, name) != fields[name].default)
