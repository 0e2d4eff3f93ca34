"""What a study asks and what a run is: frozen, validated, with a canonical digest."""

import hashlib
import json
import math
import re
import unicodedata
from collections.abc import Mapping
from itertools import pairwise, product
from typing import Annotated, Literal, Self, TypeAlias, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticKnownError

from muscope import catalogue
from muscope.catalogue import OptionValue, broken, rules
from muscope.catalogue import tuning as tunable
from muscope.catalogue.optimizers import schedule_complaint
from muscope.catalogue.registry import plain
from muscope.catalogue.statistics import STATISTICS
from muscope.recording import EVERY_STEP_UP_TO, MOST_RECORDED, Record, recorded_steps
from muscope.recording import STATISTICS as RECORDED
from muscope.theory.faults import FAULTS
from muscope.tuning import Tuning
from muscope.vocabulary import Axis

Entry = TypeVar("Entry")

MAX_RUNS = 2_000
"""Runs per study; the operator may raise it (`MUSCOPE_MAX_RUNS`), to 20 000 at most."""

LARGEST_GRID = 20_000
"""What an operator may allow at most; nothing is compared or expanded beyond it."""

STORED = {"stored": True}
"""The context in which a spec is read that was checked when it was submitted."""

Width = Annotated[int, Field(ge=1, le=65_536)]
Depth = Annotated[int, Field(ge=1, le=512)]
Batches: TypeAlias = Literal["fixed", "fresh"]
"""One batch for all steps and seeds; or one per step, in an order that the seed decides."""
Kind: TypeAlias = Literal["coordinate_check", "lr_transfer", "hyperparameter_search"]
"""Does every tensor keep its size with width; does the best learning rate stay where it is; or
which learning rate and multipliers are best, and are they so at a larger width?"""
Search: TypeAlias = Literal["full", "adaptive"]
"""Every learning rate at every width; or those that the smaller widths leave worth trying."""
HeldOut = Annotated[int, Field(ge=0, le=64)]
Statistics = Annotated[tuple[str, ...], Field(max_length=4)]
"""Those of plugins, beside what a study records of itself."""
BatchSize = Annotated[int, Field(ge=1, le=65_536)]
SequenceLength = Annotated[int, Field(ge=2, le=65_536)]
Steps = Annotated[int, Field(ge=1, le=100_000)]
ExtendOctaves = Annotated[int, Field(ge=0, le=16)]
RecordEvery = Annotated[int, Field(ge=1, le=10_000)]
LARGEST_OCTAVE = 40
Octave = Annotated[float, Field(ge=-LARGEST_OCTAVE, le=LARGEST_OCTAVE)]

SMALLEST_GAP = 1 / 16
"""Octaves between learning rates: nearer ones train to the same loss."""
FEWEST_RATES = 3
"""An optimum needs a worse rate on either side."""
STEPS_AFTER_WARMUP = 4
"""Of a coordinate check, as many as one without warm-up has."""
OF_SWEEPS = (
    "octaves", "search", "held_out", "check", "sequence_lengths", "step_counts", "extend_octaves",
)  # fmt: skip
"""Fields that only learning-rate studies have."""
_NOT_OF_SEARCHES = (
    "stop_early", "search", "statistics", "batch_sizes", "record_every", "extends", "check",
    "sequence_lengths", "step_counts", "extend_octaves",
)  # fmt: skip
"""Fields that a hyperparameter search has no use for."""

TRANSFER_AXES: Mapping[Axis, str] = {
    Axis.WIDTH: "widths",
    Axis.DEPTH: "depths",
    Axis.BATCH: "batch_sizes",
    Axis.SEQUENCE: "sequence_lengths",
    Axis.STEPS: "step_counts",
}
"""Over what a learning rate may transfer, and the grid of each."""

STUDY_ID = re.compile(r"[0-9A-Za-z_-]{1,16}", re.ASCII)
PRESET_NAME = r"^[a-z0-9][a-z0-9-]{0,63}$"

LARGEST_RATE = 1e6
Positive = Annotated[float, Field(gt=0, le=LARGEST_RATE, allow_inf_nan=False)]


def silent(default: Entry) -> Entry:
    """A field that came later: at its default it is left out, so that digests stay (ADR 17)."""
    field: Entry = Field(default=default, exclude_if=lambda value: value == default)
    return field


class Frozen(BaseModel):
    """Strict and frozen: unknown fields, numbers in quotes and infinities are refused."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class OptimizerSpec(Frozen):
    """An optimizer of the catalogue with its base learning rate."""

    name: str
    learning_rate: Positive
    options: dict[str, bool | int | float | str] = Field(
        default_factory=dict, validate_default=True
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        entry = _entry("optimizer", self.name, catalogue.OPTIMIZERS)
        object.__setattr__(self, "name", entry.name)
        _complete(self, entry.options)
        return self

    @property
    def title(self) -> str:
        """Its title and learning rate, and what was chosen otherwise than by default."""
        entry = catalogue.OPTIMIZERS[self.name]
        title = f"{entry.title} {self.learning_rate:g}"
        return _title(title, catalogue.in_words(self.options, entry.options))

    @property
    def complete(self) -> dict[str, OptionValue]:
        """Every option with its value, the silent ones too."""
        known = catalogue.OPTIMIZERS[self.name].options
        return catalogue.with_defaults(self.options, known)


class ParametrizationSpec(Frozen):
    """A parametrization of the catalogue with its switches.

    With a `fault` one thing of its rules is broken on purpose; what theory expects stays.
    """

    name: str
    options: dict[str, bool | int | float | str] = Field(
        default_factory=dict, validate_default=True
    )
    fault: str = silent("")

    @model_validator(mode="after")
    def _known(self) -> Self:
        entry = _entry("parametrization", self.name, catalogue.PARAMETRIZATION_ENTRIES)
        object.__setattr__(self, "name", entry.name)
        _complete(self, entry.options)
        if self.fault:
            _entry("fault", self.fault, FAULTS)
        return self

    @property
    def complete(self) -> dict[str, OptionValue]:
        """Every option with its value, the silent ones too."""
        known = catalogue.PARAMETRIZATION_ENTRIES[self.name].options
        return catalogue.with_defaults(self.options, known)

    @property
    def title(self) -> str:
        """Its title, with what was chosen otherwise than by default: `µP (table3)`."""
        entry = catalogue.PARAMETRIZATION_ENTRIES[self.name]
        title = _title(entry.title, catalogue.in_words(self.options, entry.options))
        if not self.fault:
            return title
        return f"{title}, broken: {FAULTS[self.fault].title}"

    def moved(self, octaves: Mapping[str, float]) -> "ParametrizationSpec":
        """The same with these multipliers so many octaves higher."""
        known = self.complete
        values = {name: float(known[name]) * 2.0**octave for name, octave in octaves.items()}
        return self.model_copy(update={"options": {**self.options, **values}})

    @property
    def zero_readout(self) -> bool:
        """Whether the readout starts at exactly zero."""
        return bool(self.options["zero_readout"])


class ModelSpec(Frozen):
    """A model of the catalogue with its options and batch; its dataset comes with it."""

    name: str
    batch_size: BatchSize
    options: dict[str, bool | int | float | str] = Field(
        default_factory=dict, validate_default=True
    )

    @model_validator(mode="after")
    def _known(self) -> Self:
        entry = _entry("model", self.name, catalogue.MODELS)
        object.__setattr__(self, "name", entry.name)
        _complete(self, entry.options)
        return self

    @property
    def title(self) -> str:
        """Its title, with what was chosen otherwise than by default: `GPT (biases)`."""
        entry = catalogue.MODELS[self.name]
        return _title(entry.title, catalogue.in_words(self.options, entry.options))


class Arm(Frozen):
    """One model of a study with the optimizers that train it."""

    model: ModelSpec
    optimizers: Annotated[tuple[OptimizerSpec, ...], Field(min_length=1, max_length=64)]


class Variant(Frozen):
    """What gets one verdict: a model, a parametrization and an optimizer at its learning rate."""

    model: ModelSpec
    parametrization: ParametrizationSpec
    optimizer: OptimizerSpec

    @property
    def key(self) -> str:
        """Unique within a study; stable over processes, so fit for a URL, a row, a CSV cell."""
        names = map(plain, (self.model.name, self.parametrization.name, self.optimizer.name))
        return "-".join((*names, f"{self.optimizer.learning_rate:g}", digest(self)[:6]))

    @property
    def acting(self) -> tuple[str, ...]:
        """The multipliers of its parametrization that change anything in its model."""
        given, model = self.parametrization, self.model
        choice = rules.Choice(given.name, given.options, given.fault)
        return tunable.acting(choice, self.optimizer.name, model.name, dict(model.options))

    @property
    def label(self) -> str:
        """The variant as a person says it."""
        model, parametrization = self.model.title, self.parametrization.title
        return f"{model} · {parametrization} · {self.optimizer.title}"


class CheckSpec(Frozen):
    """The coordinate check that a learning-rate study runs beside its sweep.

    Every variant is trained at its own learning rate, on one batch, at the widths and depths of the
    sweep. Without `steps` there are four after the longest warm-up: in it a rate shows little.
    """

    seeds: Annotated[int, Field(ge=1, le=64)] = 5
    steps: Annotated[int, Field(ge=1, le=100_000)] | None = None
    record: Record = "activations"

    @field_validator("record")
    @classmethod
    def _has_statistics(cls, record: Record) -> Record:
        if record == "losses":
            raise ValueError("a coordinate check needs statistics: record at least activations")
        return record


class StudySpec(Frozen):
    """One question: a grid of widths and depths for every variant, frozen at submission.

    In a coordinate check a seed is an initialization; the batch is the same for every seed,
    width and variant. With fresh batches a seed decides their order too. Statistics are recorded
    at steps 0 to `steps`, of more than 32 at ever fewer; with `record_every` at its multiples and
    the last step, and nothing else is computed at the others.

    A study of kind `lr_transfer` trains every variant at several learning rates, 2^octave times
    its optimizer's own, on fresh batches, and records losses only. Its loss is that on `held_out`
    batches after the last step; with none, that of the last training steps.

    A study of kind `hyperparameter_search` tries sets of a learning rate and multipliers by the
    rule of its `tuning`: all at the smallest width, the best at each larger one. Its `octaves` are
    the learning rates that are tried, or the two ends between which they are drawn.

    With a `check` it also runs a coordinate check of the same variants, and is judged twice.

    With `batch_sizes` every variant is trained at each of them, instead of at its model's own; with
    `sequence_lengths` on sequences of each; with `step_counts` for each, of which `steps` is the
    largest. A learning-rate study asks over the first of `TRANSFER_AXES` that has several values.

    Where the best rate lies at the end of the octaves, rates as far apart as the last two are added
    on that side, in later stages, up to `extend_octaves` octaves beyond.

    A study that `extends` another, by its id, has all of its grid and more; what that one has
    trained is not trained again.

    A study remembers the name of the `preset` that it came from, whose published figures are shown
    beside its own; nothing of its runs depends on it.
    """

    version: Annotated[int, Field(ge=1, le=1)] = 1
    name: Annotated[str, Field(min_length=1, max_length=120)]
    kind: Kind = "coordinate_check"
    arms: Annotated[tuple[Arm, ...], Field(min_length=1, max_length=16)]
    parametrizations: Annotated[tuple[ParametrizationSpec, ...], Field(min_length=1, max_length=32)]
    widths: Annotated[tuple[Width, ...], Field(min_length=1, max_length=64)]
    depths: Annotated[tuple[Depth, ...], Field(min_length=1, max_length=64)] = (2,)
    base_width: Width | None = None
    base_depth: Depth | None = None
    seeds: Annotated[int, Field(ge=1, le=64)] = 5
    steps: Annotated[int, Field(ge=1, le=100_000)] = 4
    record: Record = silent("activations")
    batches: Batches = silent("fixed")
    stop_early: bool = silent(False)
    octaves: Annotated[tuple[Octave, ...], Field(max_length=256)] = silent(())
    search: Search = silent("full")
    held_out: HeldOut = silent(0)
    statistics: Statistics = silent(())
    batch_sizes: Annotated[tuple[BatchSize, ...], Field(max_length=64)] = silent(())
    extends: str | None = silent(None)
    record_every: RecordEvery | None = silent(None)
    check: CheckSpec | None = silent(None)
    tuning: Tuning | None = silent(None)
    sequence_lengths: Annotated[tuple[SequenceLength, ...], Field(max_length=64)] = silent(())
    step_counts: Annotated[tuple[Steps, ...], Field(max_length=64)] = silent(())
    extend_octaves: ExtendOctaves = silent(0)
    preset: str | None = silent(None)

    @field_validator("extends")
    @classmethod
    def _id_of_a_study(cls, study_id: str | None) -> str | None:
        if study_id is not None and not STUDY_ID.fullmatch(study_id):
            raise ValueError(
                f"must be the id of a study, the end of its address, got {study_id[:60]!r}"
            )
        return study_id

    @field_validator("preset")
    @classmethod
    def _name_of_a_preset(cls, name: str | None) -> str | None:
        if name is not None and not re.fullmatch(PRESET_NAME, name):
            raise ValueError(
                "must be the name of a preset, lower-case letters, digits and dashes, as "
                f"`muscope presets list` has it, got {name[:60]!r}"
            )
        return name

    @field_validator("name")
    @classmethod
    def _clean_name(cls, name: str) -> str:
        return clean_name(name)

    @field_validator("widths")
    @classmethod
    def _several_widths(cls, widths: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        """A coordinate check is about width; a learning-rate study may be about something else."""
        if len(widths) < 2 and info.data.get("kind") != "lr_transfer":
            lengths = {"field_type": "Tuple", "min_length": 2, "actual_length": len(widths)}
            raise PydanticKnownError("too_short", lengths)
        return widths

    @field_validator("widths", "depths", "batch_sizes", "sequence_lengths", "step_counts")
    @classmethod
    def _distinct_and_sorted(cls, values: tuple[int, ...]) -> tuple[int, ...]:
        for earlier, value in pairwise(sorted(values)):
            if earlier == value:
                raise ValueError(f"the value {value} is there twice; each may be there once")
        return tuple(sorted(values))

    @field_validator("statistics")
    @classmethod
    def _known_statistics(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        full = tuple(sorted(_entry("statistic", name, STATISTICS).name for name in names))
        if len(set(full)) < len(full):
            raise ValueError("a statistic is there twice; each may be there once")
        return full

    @field_validator("octaves")
    @classmethod
    def _distinct_rates(cls, octaves: tuple[float, ...]) -> tuple[float, ...]:
        for earlier, octave in pairwise(sorted(octaves)):
            if octave - earlier < SMALLEST_GAP:
                raise ValueError(
                    f"{earlier:g} and {octave:g} are less than {SMALLEST_GAP:g} octaves apart; "
                    "each learning rate may be there once"
                )
        return tuple(sorted(octave + 0.0 for octave in octaves))  # -0.0 and 0.0 are one rate

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo) -> Self:
        self._check_kind()
        if self.base_width is None:
            object.__setattr__(self, "base_width", self.widths[0])
        if self.base_depth is None:
            object.__setattr__(self, "base_depth", self.depths[0])
        self._check_bases()
        for arm in self.arms:
            for width in {*self.widths, self.base_width or 1}:
                options = dict(arm.model.options)
                complaint = catalogue.MODELS[arm.model.name].check(width, options)
                if complaint:
                    raise ValueError(f"model {arm.model.name!r}: {complaint}")
        if self.run_count > LARGEST_GRID:
            raise ValueError(f"the grid has {self.run_count} runs, more than {LARGEST_GRID}")
        if info.context is not STORED:
            self._check_rules()
            self._check_schedules()
            self._check_tuned()
        seen: set[str] = set()
        for variant in self.variants:
            if variant.key in seen:
                raise ValueError(f"the variant {variant.label} is there twice; each may be once")
            seen.add(variant.key)
        return self

    def _check_kind(self) -> None:
        if self.kind == "hyperparameter_search":
            self._check_search()
        elif self.tuning is not None:
            raise ValueError("tuning is for studies of kind hyperparameter_search")
        elif self.kind == "lr_transfer":
            self._check_transfer()
        else:
            self._check_coordinate_check()

    def _check_bases(self) -> None:
        if self.base_width is not None and self.base_width > self.widths[-1]:
            raise ValueError(f"base_width {self.base_width} is larger than every width")
        if self.base_depth is not None and self.base_depth > self.depths[-1]:
            raise ValueError(f"base_depth {self.base_depth} is larger than every depth")

    def _check_transfer(self) -> None:
        """What a learning-rate study needs, and what is always so in it."""
        if len(self.octaves) < FEWEST_RATES:
            raise ValueError(
                f"lr_transfer needs at least {FEWEST_RATES} octaves, got {len(self.octaves)}: "
                "an optimum is told by worse learning rates on both of its sides"
            )
        if self.stop_early:
            raise ValueError("stop_early is for coordinate checks; take search: adaptive")
        if self.statistics:
            raise ValueError("statistics are for coordinate checks; lr_transfer records losses")
        if self.record_every is not None:
            raise ValueError("record_every is for coordinate checks; lr_transfer records losses")
        self._set_always()
        self._check_rates()

    def _set_always(self) -> None:
        """What a study that compares losses always has."""
        for name, value in (("record", "losses"), ("batches", "fresh")):
            if name not in self.model_fields_set:
                object.__setattr__(self, name, value)
            elif getattr(self, name) != value:
                raise ValueError(f"{self.kind} has {name} {value!r} always; leave the field out")

    def _check_rates(self) -> None:
        """No learning rate is larger than any that is allowed."""
        for arm in self.arms:
            for optimizer in arm.optimizers:
                largest = optimizer.learning_rate * math.exp2(self.reachable_octaves[-1])
                if largest > LARGEST_RATE:
                    raise ValueError(
                        f"optimizer {optimizer.name!r}: the largest learning rate would be "
                        f"{largest:g}, more than {LARGEST_RATE:g}; take smaller octaves"
                    )
        self._check_axes()
        if self.check is not None and self.check.steps is None:
            steps = STEPS_AFTER_WARMUP + self._longest_warmup
            object.__setattr__(self, "check", self.check.model_copy(update={"steps": steps}))

    def _check_axes(self) -> None:
        """A study is about something that it varies, and every run of it can be trained."""
        if max(map(abs, self.reachable_octaves)) > LARGEST_OCTAVE:
            raise ValueError(
                f"extend_octaves {self.extend_octaves} would reach octaves from "
                f"{self.reachable_octaves[0]:g} to {self.reachable_octaves[-1]:g}; at most "
                f"{LARGEST_OCTAVE} on either side are allowed"
            )
        if not self.transfer_axes:
            names = ", ".join(TRANSFER_AXES.values())
            raise ValueError(f"lr_transfer needs several values of one of {names}; each has one")
        if self.check is not None and len(self.widths) < 2:
            raise ValueError(
                "check needs at least 2 widths: a coordinate check is about width; add a width, or "
                "leave check out"
            )
        if self.step_counts:
            longest = self.step_counts[-1]
            if "steps" in self.model_fields_set and self.steps != longest:
                raise ValueError(
                    f"steps is the largest of step_counts, {longest}, got {self.steps}; leave it "
                    "out"
                )
            object.__setattr__(self, "steps", longest)
        for arm, length in product(self.arms, self.sequence_lengths):
            if "sequence_length" not in arm.model.options:
                raise ValueError(
                    f"model {arm.model.name!r} has no sequences; leave sequence_lengths out"
                )
            of_length(arm.model, length)

    def _check_search(self) -> None:
        """What a hyperparameter search needs, and what is always so in it."""
        if self.tuning is None:
            raise ValueError("hyperparameter_search needs tuning: how sets are found and compared")
        complaint = self.tuning.complaint(self.octaves, self.widths)
        if complaint:
            raise ValueError(complaint)
        if len(self.depths) > 1:
            raise ValueError("a hyperparameter search has one depth; make a study for each")
        for name in _NOT_OF_SEARCHES:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} has no meaning in a hyperparameter search; leave it out")
        self._set_always()
        self._check_rates()

    def _check_tuned(self) -> None:
        """Every multiplier of a search changes something, within what its option allows."""
        if self.tuning is None:
            return
        known = {name for variant in self.variants for name in variant.acting}
        for name in self.tuning.ranges:
            if name not in known:
                raise ValueError(
                    f"ranges: {name!r} changes nothing in any variant of this study; those that "
                    f"do: {', '.join(sorted(known)) or 'none'}"
                )
        for variant in self.variants:
            for name in self.tuned_names(variant):
                _check_reach(variant.parametrization, name, self.tuning.ranges[name])
            sets = self.sets_at_most(variant)
            if self.tuning.keep and self.tuning.keep[0] > sets:
                raise ValueError(
                    f"keep: {self.tuning.keep[0]} sets are to go on, of {sets} that "
                    f"{variant.label} tries"
                )

    def tuned_names(self, variant: Variant) -> tuple[str, ...]:
        """The multipliers of a variant that a search tunes."""
        ranges = self.tuning.ranges if self.tuning else {}
        return tuple(name for name in variant.acting if name in ranges)

    def sets_at_most(self, variant: Variant) -> int:
        """How many sets of a variant a search tries at the smallest width at most."""
        names = self.tuned_names(variant)
        return self.tuning.most(names, self.octaves) if self.tuning else 0

    def _check_coordinate_check(self) -> None:
        """What only a learning-rate study has."""
        for name in OF_SWEEPS:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is for studies of kind lr_transfer")
        self._check_statistics()
        self._check_recorded_steps()
        if self.record == "losses":
            raise ValueError("a coordinate check needs statistics: record at least activations")

    def _check_statistics(self) -> None:
        """Each statistic of a plugin is of a kind of tensors that the study records."""
        for name in self.statistics:
            of = STATISTICS[name].of
            if not set(of) & set(RECORDED[self.record]):
                kinds = ", ".join(of)
                raise ValueError(
                    f"statistic {name!r} is of kind {kinds}, and record {self.record!r} has none "
                    "of these; record standard or full"
                )

    def _check_recorded_steps(self) -> None:
        """Not too many steps are asked for; every step of a short run is what it records anyway."""
        if self.record_every == 1 and self.steps <= EVERY_STEP_UP_TO:
            object.__setattr__(self, "record_every", None)
        recorded = len(recorded_steps(self.steps, self.record_every))
        if recorded > MOST_RECORDED:
            fewest = -(-self.steps // (MOST_RECORDED - 1))
            raise ValueError(
                f"record_every {self.record_every} of {self.steps} steps are {recorded} recorded "
                f"steps, more than {MOST_RECORDED}; take at least {fewest}"
            )

    def _check_rules(self) -> None:
        """Every parametrization has a rule for every model and optimizer it meets."""
        for arm, parametrization in product(self.arms, self.parametrizations):
            choice = rules.Choice(
                parametrization.name, parametrization.options, parametrization.fault
            )
            for optimizer in {optimizer.name for optimizer in arm.optimizers}:
                options = dict(arm.model.options)
                given = (choice, optimizer, arm.model.name, options)
                complaint = rules.complaint(*given) or broken.complaint(*given)
                if complaint:
                    raise ValueError(complaint)

    def _check_schedules(self) -> None:
        """Every optimizer's schedule fits into the run."""
        for optimizer in (optimizer for arm in self.arms for optimizer in arm.optimizers):
            for place, steps in self._lengths:
                complaint = schedule_complaint(dict(optimizer.options), steps)
                if complaint:
                    raise ValueError(f"{place}optimizer {optimizer.name!r}: {complaint}")

    @property
    def _lengths(self) -> tuple[tuple[str, int], ...]:
        """The steps of a run of every part, with where they stand."""
        if self.check is None or self.check.steps is None:
            return (("", self.shortest),)
        return (("", self.shortest), ("the check's ", self.check.steps))

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
    def _longest_warmup(self) -> int:
        optimizers = (optimizer for arm in self.arms for optimizer in arm.optimizers)
        return max(int(optimizer.complete["warmup_steps"]) for optimizer in optimizers)

    @property
    def coordinate_check(self) -> "StudySpec | None":
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
    def sweep(self) -> "StudySpec | None":
        """What of it is a learning-rate study alone, or nothing."""
        if self.kind != "lr_transfer":
            return None
        return self if self.check is None else self.model_copy(update={"check": None})

    @property
    def parts(self) -> tuple["StudySpec", ...]:
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
    steps: Annotated[int, Field(ge=1, le=100_000)]
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


def of_length(model: ModelSpec, length: int) -> ModelSpec:
    """A model that is trained on sequences of another length."""
    options = {**model.options, "sequence_length": length}
    return ModelSpec(name=model.name, batch_size=model.batch_size, options=options)


def clean_name(name: str) -> str:
    """The name as it is, if it may be shown; ValueError where it could deceive."""
    if unicodedata.normalize("NFC", name) != name:
        raise ValueError("the name must be in Unicode normal form C")
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in name):
        raise ValueError("the name must not hold control or bidirectional characters")
    if not name.strip():
        raise ValueError("the name must not be blank")
    return name


def stored(text: str) -> StudySpec:
    """A spec that was accepted once: read as it is, whatever a later version would refuse."""
    return StudySpec.model_validate_json(text, context=STORED)


def canonical_json(model: BaseModel) -> str:
    """The one way a spec is written: sorted keys, no spaces, so that equal specs are equal text."""
    data = model.model_dump(mode="json")
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def digest(model: BaseModel) -> str:
    """SHA-256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical_json(model).encode()).hexdigest()


def _entry(kind: str, name: str, entries: Mapping[str, Entry]) -> Entry:
    if name not in entries:
        of_plugin = "; no living worker has such a plugin" if "/" in name else ""
        raise ValueError(f"unknown {kind} {name!r}; allowed: {', '.join(entries)}{of_plugin}")
    return entries[name]


def _check_reach(given: ParametrizationSpec, name: str, reach: tuple[float, float]) -> None:
    """The ends of a range are values that the option may have."""
    options = catalogue.PARAMETRIZATION_ENTRIES[given.name].options
    option = next(option for option in options if option.name == name)
    for octave in reach:
        value = float(given.complete[name]) * 2.0**octave
        if not option.low <= value <= option.high:
            raise ValueError(
                f"ranges: {name} at octave {octave:g} is {value:g}, outside {option.low:g} to "
                f"{option.high:g}"
            )


def _title(title: str, chosen: str) -> str:
    return f"{title} ({chosen})" if chosen else title


def _complete(
    model: OptimizerSpec | ParametrizationSpec | ModelSpec, known: tuple[catalogue.Option, ...]
) -> None:
    given: dict[str, OptionValue] = dict(model.options)
    object.__setattr__(model, "options", catalogue.complete_options(given, known))
