"""What a plugin says of one of its entries: JSON, checked strictly, for who never imports it."""

import hashlib
import json
import unicodedata
from collections.abc import Iterator
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from muscope.catalogue.optimizers import SCHEDULE
from muscope.catalogue.options import Option
from muscope.plugins import arithmetic, names
from muscope.plugins.names import Name
from muscope.vocabulary import DecayForm, TensorKind, UpdateFamily

LONGEST_JSON = 65_536
"""Bytes of one description; a model with a hundred weights has a tenth of it."""

OWN = "./"
"""Before the name of a dataset: it is of the same package."""

WeightRole: TypeAlias = Literal["embedding", "hidden", "output", "vector", "scalar"]
ActivationRole: TypeAlias = Literal["embedding", "hidden", "output", "attention_logits", "residual"]


def _clean(text: str) -> str:
    if unicodedata.normalize("NFC", text) != text:
        raise ValueError("must be in Unicode normal form C")
    if any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text):
        raise ValueError("must not hold control or bidirectional characters")
    return text


def _bare(text: str) -> str:
    """Titles and words stand in figures too, where markup would be one."""
    if set(text) & set("<>&{}$\\\"'`"):
        raise ValueError("must not hold any of < > & { } $ \\ \" ' `")
    return _clean(text)


Title = Annotated[str, Field(min_length=1, max_length=60), AfterValidator(_bare)]
Word = Annotated[str, Field(min_length=1, max_length=40), AfterValidator(_bare)]
Sentence = Annotated[str, Field(max_length=300), AfterValidator(_clean)]
Plain = Annotated[str, Field(pattern=f"^{names.PLAIN}$")]
Tensor = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.([a-z][a-z0-9_]*|\{block\}))*$",
                              max_length=80)]  # fmt: skip
"""The name of a tensor; `{block}` in it is the number of the block."""
Formula = Annotated[str, Field(min_length=1, max_length=arithmetic.LONGEST)]
Value: TypeAlias = bool | int | float | Word


class Strict(BaseModel):
    """Frozen; unknown fields, numbers in quotes and infinities are refused."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)


class OptionDescription(Strict):
    """A switch, a number between `low` and `high`, or one of the `allowed` words."""

    name: Plain
    default: Value
    help: Sentence
    low: float = 0.0
    high: float = 0.0
    allowed: Annotated[tuple[Value, ...], Field(max_length=32)] = ()

    @model_validator(mode="after")
    def _is_right(self) -> Self:
        if self.allowed:
            if self.default not in self.allowed:
                raise ValueError(f"option {self.name!r}: the default must be one of `allowed`")
            if len({type(value) for value in (self.default, *self.allowed)}) > 1:
                raise ValueError(f"option {self.name!r}: `allowed` must be of the default's type")
        elif isinstance(self.default, str):
            raise ValueError(f"option {self.name!r}: a word needs `allowed`")
        elif not isinstance(self.default, bool) and not self.low <= self.default <= self.high:
            raise ValueError(f"option {self.name!r}: the default must lie between `low` and `high`")
        return self

    @property
    def option(self) -> Option:
        """As the catalogue has it."""
        return Option(self.name, self.default, self.help, self.low, self.high, allowed=self.allowed)

    @property
    def is_number(self) -> bool:
        """Whether a formula can have it: a switch counts as 0 or 1."""
        return not isinstance(self.default, str)


class _Entry(Strict):
    """What every entry says of itself; `docs` is where to read more."""

    title: Title
    help: Annotated[Sentence, Field(min_length=1)]
    docs: Sentence = ""


class _WithOptions(_Entry):
    options: Annotated[tuple[OptionDescription, ...], Field(max_length=32)] = ()

    @model_validator(mode="after")
    def _once_each(self) -> Self:
        given = [option.name for option in self.options]
        for name in given:
            if given.count(name) > 1:
                raise ValueError(f"option {name!r} is there twice")
        return self

    def refuse_names(self, taken: frozenset[str]) -> None:
        """Refuse options whose names mean something already."""
        for option in self.options:
            if option.name in taken:
                raise ValueError(f"option {option.name!r} has a name that muscope uses itself")

    @property
    def numbers(self) -> frozenset[str]:
        """The options that formulas can have."""
        return frozenset(option.name for option in self.options if option.is_number)


def _check(formulas: Iterator[str], known: frozenset[str]) -> None:
    for formula in formulas:
        arithmetic.check(formula, known)


class OptimizerDescription(_WithOptions):
    """An optimizer: whose learning-rate rule it has, and what an update of one weight costs.

    `state`, `at_hand` and `flops` are formulas of `rows`, `columns` and the options: numbers kept
    between updates, numbers that an update holds at once beside weight, gradient and state, and
    operations of products of matrices.
    """

    kind: Literal["optimizer"]
    family: UpdateFamily
    learning_rate: Annotated[float, Field(gt=0, le=1e6)]
    fallback: Literal["adamw", "adam", "sgd", "lion"] | None = None
    decay: DecayForm = DecayForm.COUPLED
    squared_epsilon: bool = False
    state: Formula = "2*rows*columns"
    at_hand: Formula = "6*rows*columns"
    flops: Formula = "0"

    @model_validator(mode="after")
    def _is_right(self) -> Self:
        self.refuse_names(frozenset(option.name for option in SCHEDULE) | {"family"})
        known = self.numbers | {"rows", "columns"}
        _check(iter((self.state, self.at_hand, self.flops)), known)
        return self


RULE_NAMES = frozenset(
    ("m", "m_in", "m_out", "r", "fan_in", "fan_out", "base_fan_in", "base_fan_out", "depth",
     "base_depth", "is_bias", "in_branch", "writes_stream")
)  # fmt: skip
"""What a formula of a rule may have beside numeric options."""


class RuleDescription(Strict):
    """One row of a table: formulas of the dimensions of a weight, here and in the base model."""

    multiplier: Formula = "1"
    init_std: Formula = "1/sqrt(fan_in)"
    learning_rate_factor: Formula = "1"
    weight_decay_factor: Formula = "1"
    epsilon_factor: Formula = "1"

    @property
    def formulas(self) -> tuple[str, ...]:
        """All of them, in the order of `WeightRule`."""
        return (
            self.multiplier,
            self.init_std,
            self.learning_rate_factor,
            self.weight_decay_factor,
            self.epsilon_factor,
        )


class ParametrizationDescription(_WithOptions):
    """A parametrization as a table: per update family and role, what to do with a weight.

    A role that a family leaves out has the row of `hidden`; `vector` and `scalar` have that of
    `embedding`. Formulas know the dimensions of the weight (`RULE_NAMES`) and numeric options;
    `attention_scale` knows `d` and `base_d`, the elements of a head, and `residual_multiplier` the
    depth and the base depth.
    """

    kind: Literal["parametrization"]
    source: Annotated[Sentence, Field(min_length=1)]
    rules: Annotated[dict[UpdateFamily, dict[WeightRole, RuleDescription]], Field(min_length=1)]
    attention_scale: Formula = "1/sqrt(d)"
    residual_multiplier: Formula = "1"
    needs_branches: bool = False

    @model_validator(mode="after")
    def _is_right(self) -> Self:
        self.refuse_names(frozenset(("zero_readout", "sp_unembedding")))
        for family, rows in self.rules.items():
            for role in ("embedding", "hidden", "output"):
                if role not in rows:
                    raise ValueError(f"rules of {family.value!r} need a row for {role!r}")
            for row in rows.values():
                _check(iter(row.formulas), self.numbers | RULE_NAMES)
        _check(iter((self.attention_scale,)), self.numbers | {"d", "base_d"})
        _check(iter((self.residual_multiplier,)), self.numbers | {"depth", "base_depth"})
        return self


Modality: TypeAlias = Literal["text", "image"]


class DatasetDescription(_Entry):
    """Data: images of a shape with classes, or text whose tokens are below `classes`."""

    kind: Literal["dataset"]
    source: Annotated[Sentence, Field(min_length=1)]
    modality: Modality
    classes: Annotated[int, Field(ge=2, le=65_536)]
    shape: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _is_right(self) -> Self:
        if self.modality == "text":
            if self.shape:
                raise ValueError("text has no shape")
            return self
        if len(self.shape) != 3 or not all(1 <= size <= 4096 for size in self.shape):
            raise ValueError("an image has the shape (channels, height, width), each 1 to 4096")
        return self


MODEL_OPTIONS = frozenset(
    ("precision", "dataset", "dataset_name", "vocabulary", "sequence_length", "head_size", "heads",
     "queries_per_key", "attention_scale", "attention_alpha", "residual_multiplier", "zero_query",
     "tied_embeddings", "norm_placement", "loss", "positions", "fused_projections")
)  # fmt: skip
"""Options that rules know by name: a plugin's model gets those that it has by other words."""
MODEL_NAMES = frozenset(("width", "inputs", "classes", "channels", "side", "sequence_length",
                         "head_size", "heads"))  # fmt: skip
"""What formulas of a model may have beside its own numeric options; never the depth, so that every
block costs the same."""


class _Conditional(Strict):
    """There only where the option `when` is on, or everywhere."""

    when: Plain | None = None


class WeightDescription(_Conditional):
    """A weight: y = multiplier * (W x), its dimensions as formulas.

    `uses` counts how often one example applies it. A convolution has `kernel`² * `channels_in` as
    fan_in. One whose name has `{block}` is there once per block.
    """

    name: Tensor
    role: WeightRole
    fan_out: Formula
    fan_in: Formula = "1"
    layout: Literal["matrix", "table", "convolution", "bias", "gain"] = "matrix"
    rows: Formula = "1"
    uses: Formula = "1"
    kernel: Annotated[int, Field(ge=1, le=15)] = 1
    stride: Annotated[int, Field(ge=1, le=8)] = 1
    in_branch: bool = False
    writes_stream: bool = False
    part: Annotated[str, Field(pattern=r"^([a-z]+\.[a-z]+)?$", max_length=24)] = ""
    starts_at_zero: bool = False

    @property
    def formulas(self) -> tuple[str, ...]:
        """All of them."""
        return self.fan_out, self.fan_in, self.rows, self.uses


class ActivationDescription(_Conditional):
    """An activation that the model taps, in the order of its forward; counts are per example."""

    name: Tensor
    role: ActivationRole
    elements: Formula
    flops: Formula = "0"
    unrecorded: Formula = "0"
    aligns_slowly: bool = False

    @property
    def formulas(self) -> tuple[str, ...]:
        """All of them."""
        return self.elements, self.flops, self.unrecorded


class Requirement(Strict):
    """A condition on the width and the options, and the sentence where it is not so."""

    that: Formula
    why: Annotated[Sentence, Field(min_length=1)]


class ModelDescription(_WithOptions):
    """A model: weights and activations by formulas, in the order of the forward.

    `{block}` in a name stands for the blocks 0 to depth - 1, and entries with it that follow each
    other repeat together. The readout is the one weight, and the last activation, called `readout`.
    With `attention`, the model has heads: options for them are added, and q.k is scaled by the
    rule.
    """

    kind: Literal["model"]
    dataset: Annotated[str, Field(max_length=120)]
    batch_size: Annotated[int, Field(ge=1, le=65_536)]
    attention: bool = False
    weights: Annotated[tuple[WeightDescription, ...], Field(min_length=2, max_length=200)]
    activations: Annotated[tuple[ActivationDescription, ...], Field(min_length=2, max_length=200)]
    requires: Annotated[tuple[Requirement, ...], Field(max_length=16)] = ()

    @model_validator(mode="after")
    def _is_right(self) -> Self:
        self.refuse_names(MODEL_OPTIONS)
        known = self.numbers | MODEL_NAMES
        parts: tuple[WeightDescription | ActivationDescription, ...]
        parts = (*self.weights, *self.activations)
        _check((formula for part in parts for formula in part.formulas), known)
        _check((requirement.that for requirement in self.requires), known)
        for part in parts:
            if part.when is not None and part.when not in self.numbers:
                raise ValueError(f"`when` of {part.name!r} names no option: {part.when!r}")
        self._check_names()
        return self

    def _check_names(self) -> None:
        for group in (self.weights, self.activations):
            given = [part.name for part in group]
            for name in given:
                if given.count(name) > 1:
                    raise ValueError(f"{name!r} is there twice")
        outputs = [weight.name for weight in self.weights if weight.role == "output"]
        if outputs != ["readout"]:
            raise ValueError("exactly one weight has the role 'output', and its name is 'readout'")
        if self.activations[-1].name != "readout":
            raise ValueError("the last activation is the one called 'readout'")


class StatisticDescription(_Entry):
    """A number per tensor and step that muscope does not compute itself."""

    kind: Literal["statistic"]
    of: Annotated[tuple[TensorKind, ...], Field(min_length=1, max_length=4)]

    @model_validator(mode="after")
    def _is_right(self) -> Self:
        if len(set(self.of)) < len(self.of):
            raise ValueError("`of` names a kind twice")
        return self


Description: TypeAlias = Annotated[
    OptimizerDescription
    | ParametrizationDescription
    | DatasetDescription
    | ModelDescription
    | StatisticDescription,
    Field(discriminator="kind"),
]
_DESCRIPTION: TypeAdapter[Description] = TypeAdapter(Description)

KINDS = ("model", "parametrization", "optimizer", "statistic", "dataset")


class Described(BaseModel):
    """A description under its full name; the key tells it from any other description.

    A worker has the entry if it has the same key: what another version of the package, or another
    text under the same version, describes is something else.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    description: Description

    @model_validator(mode="after")
    def _is_right(self) -> Self:
        names.parse(self.name)
        return self

    @property
    def parts(self) -> Name:
        """The name in parts."""
        return names.parse(self.name)

    @property
    def depends(self) -> tuple[str, ...]:
        """The full names of entries that this one needs: a model's data, of its own package."""
        description = self.description
        if not isinstance(description, ModelDescription) or not description.dataset.startswith(OWN):
            return ()
        own = self.parts
        return (str(Name(own.package, description.dataset.removeprefix(OWN), own.version)),)

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits of the digest of name and description."""
        data = {"name": self.name, "description": self.description.model_dump(mode="json")}
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def read(text: str) -> Description:
    """The description in a JSON text, or ValueError with a sentence per fault."""
    if len(text.encode()) > LONGEST_JSON:
        raise ValueError(f"its description has more than {LONGEST_JSON} bytes")
    try:
        return _DESCRIPTION.validate_json(text)
    except ValidationError as error:
        raise ValueError("; ".join(_sentences(error))) from None


def _sentences(error: ValidationError) -> list[str]:
    found = []
    for detail in error.errors(include_url=False, include_input=False)[:5]:
        path = ".".join(str(part) for part in detail["loc"][1:])
        message = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == "union_tag_invalid" or detail["type"] == "union_tag_not_found":
            message = f"`kind` must be one of {', '.join(KINDS)}"
        if detail["type"] == "extra_forbidden":
            message = "unknown field"
        found.append(f"{path}: {message}" if path else message)
    return found
