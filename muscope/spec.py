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

from muscope import catalogue
from muscope.catalogue import OptionValue, broken, rules
from muscope.catalogue.optimizers import schedule_complaint
from muscope.catalogue.registry import plain
from muscope.catalogue.statistics import STATISTICS
from muscope.recording import EVERY_STEP_UP_TO, MOST_RECORDED, Record, recorded_steps
from muscope.recording import STATISTICS as RECORDED
from muscope.theory.faults import FAULTS

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
Kind: TypeAlias = Literal["coordinate_check", "lr_transfer"]
"""Does every tensor keep its size with width; or does the best learning rate stay where it is?"""
Search: TypeAlias = Literal["full", "adaptive"]
"""Every learning rate at every width; or those that the smaller widths leave worth trying."""
HeldOut = Annotated[int, Field(ge=0, le=64)]
Statistics = Annotated[tuple[str, ...], Field(max_length=4)]
"""Those of plugins, beside what a study records of itself."""
BatchSize = Annotated[int, Field(ge=1, le=65_536)]
RecordEvery = Annotated[int, Field(ge=1, le=10_000)]
Octave = Annotated[float, Field(ge=-40, le=40)]

SMALLEST_GAP = 1 / 16
"""Octaves between learning rates: nearer ones train to the same loss."""
FEWEST_RATES = 3
"""An optimum needs a worse rate on either side."""

STUDY_ID = re.compile(r"[0-9A-Za-z_-]{1,16}", re.ASCII)

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
    def label(self) -> str:
        """The variant as a person says it."""
        model, parametrization = self.model.title, self.parametrization.title
        return f"{model} · {parametrization} · {self.optimizer.title}"


class StudySpec(Frozen):
    """One question: a grid of widths and depths for every variant, frozen at submission.

    In a coordinate check a seed is an initialization; the batch is the same for every seed,
    width and variant. With fresh batches a seed decides their order too. Statistics are recorded
    at steps 0 to `steps`, of more than 32 at ever fewer; with `record_every` at its multiples and
    the last step, and nothing else is computed at the others.

    A study of kind `lr_transfer` trains every variant at several learning rates, 2^octave times
    its optimizer's own, on fresh batches, and records losses only. Its loss is that on `held_out`
    batches after the last step; with none, that of the last training steps.

    With `batch_sizes` every variant is trained at each of them, instead of at its model's own.

    A study that `extends` another, by its id, has all of its grid and more; what that one has
    trained is not trained again.
    """

    version: Annotated[int, Field(ge=1, le=1)] = 1
    name: Annotated[str, Field(min_length=1, max_length=120)]
    kind: Kind = "coordinate_check"
    arms: Annotated[tuple[Arm, ...], Field(min_length=1, max_length=16)]
    parametrizations: Annotated[tuple[ParametrizationSpec, ...], Field(min_length=1, max_length=32)]
    widths: Annotated[tuple[Width, ...], Field(min_length=2, max_length=64)]
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

    @field_validator("extends")
    @classmethod
    def _id_of_a_study(cls, study_id: str | None) -> str | None:
        if study_id is not None and not STUDY_ID.fullmatch(study_id):
            raise ValueError(
                f"must be the id of a study, the end of its address, got {study_id[:60]!r}"
            )
        return study_id

    @field_validator("name")
    @classmethod
    def _clean_name(cls, name: str) -> str:
        return clean_name(name)

    @field_validator("widths", "depths", "batch_sizes")
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
        if self.kind == "lr_transfer":
            self._check_transfer()
        else:
            self._check_coordinate_check()
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
        seen: set[str] = set()
        for variant in self.variants:
            if variant.key in seen:
                raise ValueError(f"the variant {variant.label} is there twice; each may be once")
            seen.add(variant.key)
        return self

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
        if self.batch_sizes:
            raise ValueError("batch_sizes are for coordinate checks; make a study for each")
        if self.record_every is not None:
            raise ValueError("record_every is for coordinate checks; lr_transfer records losses")
        for name, value in (("record", "losses"), ("batches", "fresh")):
            if name not in self.model_fields_set:
                object.__setattr__(self, name, value)
            elif getattr(self, name) != value:
                raise ValueError(f"lr_transfer has {name} {value!r} always; leave the field out")
        for arm in self.arms:
            for optimizer in arm.optimizers:
                largest = optimizer.learning_rate * math.exp2(self.octaves[-1])
                if largest > LARGEST_RATE:
                    raise ValueError(
                        f"optimizer {optimizer.name!r}: the largest learning rate would be "
                        f"{largest:g}, more than {LARGEST_RATE:g}; take smaller octaves"
                    )

    def _check_coordinate_check(self) -> None:
        """What only a learning-rate study has."""
        for name in ("octaves", "search", "held_out"):
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
            complaint = schedule_complaint(dict(optimizer.options), self.steps)
            if complaint:
                raise ValueError(f"optimizer {optimizer.name!r}: {complaint}")

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
        optimizers = sum(len(arm.optimizers) for arm in self.arms)
        variants = optimizers * len(self.parametrizations)
        rates = len(self.octaves) or 1
        shapes = len(self.widths) * len(self.depths) * (len(self.batch_sizes) or 1)
        return variants * shapes * rates * self.seeds

    @property
    def has_stages(self) -> bool:
        """Whether later runs depend on earlier results: then the grid is the most there can be."""
        return self.search == "adaptive" or self.stop_early


class RunSpec(Frozen):
    """One model trained once: everything that decides its numbers.

    Its learning rate is 2^octave times that of its variant's optimizer; its batch size that of
    its variant's model where it has none of its own.
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

    @property
    def recorded_steps(self) -> tuple[int, ...]:
        """The steps at which statistics are recorded."""
        return recorded_steps(self.steps, self.record_every)

    @property
    def model(self) -> ModelSpec:
        """The model with the batch size of this run."""
        own = self.variant.model
        if self.batch_size is None:
            return own
        return own.model_copy(update={"batch_size": self.batch_size})

    @property
    def learning_rate(self) -> float:
        """The base learning rate that this run trains with."""
        return self.variant.optimizer.learning_rate * math.exp2(self.octave)


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


def _title(title: str, chosen: str) -> str:
    return f"{title} ({chosen})" if chosen else title


def _complete(
    model: OptimizerSpec | ParametrizationSpec | ModelSpec, known: tuple[catalogue.Option, ...]
) -> None:
    given: dict[str, OptionValue] = dict(model.options)
    object.__setattr__(model, "options", catalogue.complete_options(given, known))
