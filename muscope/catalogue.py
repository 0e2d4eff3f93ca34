"""What can be chosen, described as plain data: models, optimizers, parametrizations, datasets.

Forms, `--help`, plans, rule tables and docs all read this; nothing here imports torch. What the
catalogue says of a model by arithmetic, a test compares with the module that the lab builds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from muscope.theory.parametrizations import PARAMETRIZATIONS
from muscope.vocabulary import Role, UpdateFamily

OptionValue: TypeAlias = bool | int | float
Options: TypeAlias = dict[str, OptionValue]


@dataclass(frozen=True, slots=True)
class Option:
    """One switch or number: its default fixes its type; a number lies within [low, high]."""

    name: str
    default: OptionValue
    help: str
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True, slots=True)
class WeightEntry:
    """One weight of a model: its name, role and shape (fan_out, fan_in).

    `fan_in` is 1 for a lookup table, whose input is one-hot; its parameters are fan_out * rows.
    `flops_per_example` counts the multiply-adds of one forward on one example, twice.
    """

    name: str
    role: Role
    fan_in: int
    fan_out: int
    parameters: int
    flops_per_example: int


@dataclass(frozen=True, slots=True)
class ActivationEntry:
    """One activation that is recorded: its name, role, and elements per example.

    `flops_per_example` is what products of activations cost in one forward; `unrecorded_elements`
    are kept for the backward beside it. `aligns_slowly` marks what a weight makes directly of
    nearly orthogonal token vectors (docs/decisions/0016).
    """

    name: str
    role: Role
    elements_per_example: int
    flops_per_example: int = 0
    unrecorded_elements: int = 0
    aligns_slowly: bool = False


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """A model that the lab can build, with its tensors by arithmetic."""

    name: str
    title: str
    help: str
    dataset: str
    batch_size: int
    options: tuple[Option, ...]
    check: Callable[[int, Options], str | None]
    weights: Callable[[int, int, Options], tuple[WeightEntry, ...]]
    activations: Callable[[int, int, Options], tuple[ActivationEntry, ...]]


@dataclass(frozen=True, slots=True)
class OptimizerEntry:
    """An optimizer with its update family and the learning rate that forms start from."""

    name: str
    title: str
    help: str
    family: UpdateFamily
    learning_rate: float
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class ParametrizationEntry:
    """A parametrization and its switches; the rules themselves are in muscope.theory."""

    name: str
    title: str
    source: str
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """Data that are there on every machine, with the size of one example."""

    name: str
    title: str
    help: str
    inputs: int
    classes: int


DATASETS: dict[str, DatasetEntry] = {
    entry.name: entry
    for entry in (
        DatasetEntry(
            name="python_docs",
            title="Python documentation",
            help="English text that ships with every CPython (pydoc_data.topics), as bytes.",
            inputs=256,
            classes=256,
        ),
        DatasetEntry(
            name="digits",
            title="Digits",
            help="1797 real 8x8 images of handwritten digits (scikit-learn).",
            inputs=64,
            classes=10,
        ),
    )
}


def _gpt_check(width: int, options: Options) -> str | None:
    head_size = int(options["head_size"])
    if width % head_size:
        return f"width {width} is not a multiple of the head size {head_size}"
    return None


def _gpt_weights(width: int, depth: int, options: Options) -> tuple[WeightEntry, ...]:
    sequence, ratio = int(options["sequence_length"]), int(options["mlp_ratio"])
    classes = DATASETS["python_docs"].classes

    def table(name: str, rows: int) -> WeightEntry:
        return WeightEntry(name, Role.EMBEDDING, 1, width, rows * width, 0)

    def matrix(name: str, role: Role, fan_out: int, fan_in: int) -> WeightEntry:
        size = fan_out * fan_in
        return WeightEntry(name, role, fan_in, fan_out, size, 2 * size * sequence)

    blocks = [
        matrix(f"blocks.{block}.{name}", Role.HIDDEN, fan_out, fan_in)
        for block in range(depth)
        for name, fan_out, fan_in in (
            ("attn.q", width, width),
            ("attn.k", width, width),
            ("attn.v", width, width),
            ("attn.o", width, width),
            ("mlp.up", ratio * width, width),
            ("mlp.down", width, ratio * width),
        )
    ]
    return (
        table("embedding.token", classes),
        table("embedding.position", sequence),
        *blocks,
        matrix("readout", Role.OUTPUT, classes, width),
    )


def _gpt_activations(width: int, depth: int, options: Options) -> tuple[ActivationEntry, ...]:
    sequence, ratio = int(options["sequence_length"]), int(options["mlp_ratio"])
    heads = width // int(options["head_size"])
    stream, square = sequence * width, sequence * sequence

    def tensor(name: str, elements: int, *, aligns_slowly: bool = False) -> ActivationEntry:
        return ActivationEntry(name, Role.HIDDEN, elements, aligns_slowly=aligns_slowly)

    def logits(name: str) -> ActivationEntry:
        """Only the causal lower triangle is seen; q.k and its use on v are whole products."""
        return ActivationEntry(
            name,
            Role.ATTENTION_LOGITS,
            elements_per_example=heads * sequence * (sequence + 1) // 2,
            flops_per_example=4 * square * width,
            unrecorded_elements=2 * heads * square,  # all logits, and their softmax
            aligns_slowly=True,
        )

    blocks = [
        activation
        for block in (f"blocks.{number}" for number in range(depth))
        for activation in (
            *(tensor(f"{block}.attn.{part}", stream, aligns_slowly=True) for part in "qkv"),
            logits(f"{block}.attn.logits"),
            tensor(f"{block}.attn.out", stream),
            tensor(f"{block}.mlp.up", ratio * stream),
            tensor(f"{block}.mlp.out", stream),
            ActivationEntry(f"{block}.residual", Role.RESIDUAL, stream),
        )
    ]
    classes = DATASETS["python_docs"].classes
    return (
        ActivationEntry("embedding", Role.EMBEDDING, stream),
        *blocks,
        ActivationEntry("readout", Role.OUTPUT, sequence * classes),
    )


def _no_check(width: int, options: Options) -> str | None:
    return None


def _mlp_weights(width: int, depth: int, options: Options) -> tuple[WeightEntry, ...]:
    data = DATASETS["digits"]

    def matrix(name: str, role: Role, fan_out: int, fan_in: int) -> WeightEntry:
        size = fan_out * fan_in
        return WeightEntry(name, role, fan_in, fan_out, size, 2 * size)

    return (
        matrix("input", Role.EMBEDDING, width, data.inputs),
        *(matrix(f"hidden.{layer}", Role.HIDDEN, width, width) for layer in range(depth)),
        matrix("readout", Role.OUTPUT, data.classes, width),
    )


def _mlp_activations(width: int, depth: int, options: Options) -> tuple[ActivationEntry, ...]:
    return (
        ActivationEntry("input", Role.EMBEDDING, width),
        *(ActivationEntry(f"hidden.{layer}", Role.HIDDEN, width) for layer in range(depth)),
        ActivationEntry("readout", Role.OUTPUT, DATASETS["digits"].classes),
    )


MODELS: dict[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        ModelEntry(
            name="gpt",
            title="GPT",
            help="Decoder-only transformer: learned positions, pre-norm without gains, GELU.",
            dataset="python_docs",
            batch_size=8,
            options=(
                Option(
                    "head_size", 32, "Elements per attention head; heads grow with width.", 1, 1024
                ),
                Option("sequence_length", 64, "Tokens per example.", 2, 65_536),
                Option("mlp_ratio", 4, "Width of the feed-forward layer over the model's.", 1, 64),
            ),
            check=_gpt_check,
            weights=_gpt_weights,
            activations=_gpt_activations,
        ),
        ModelEntry(
            name="mlp",
            title="MLP",
            help="Multi-layer perceptron: input layer, `depth` hidden layers, readout; ReLU.",
            dataset="digits",
            batch_size=64,
            options=(),
            check=_no_check,
            weights=_mlp_weights,
            activations=_mlp_activations,
        ),
    )
}

OPTIMIZERS: dict[str, OptimizerEntry] = {
    entry.name: entry
    for entry in (
        OptimizerEntry(
            name="adamw",
            title="AdamW",
            help="Adam with decoupled weight decay (Loshchilov & Hutter 2019).",
            family=UpdateFamily.SIGN_LIKE,
            learning_rate=3e-3,
            options=(
                Option("beta1", 0.9, "Decay of the first moment.", 0.0, 0.9999999),
                Option("beta2", 0.95, "Decay of the second moment.", 0.0, 0.9999999),
                Option("epsilon", 1e-16, "Added to the root of the second moment.", 1e-30, 1.0),
                Option("weight_decay", 0.0, "Decay, multiplied by the learning rate.", 0.0, 10.0),
            ),
        ),
        OptimizerEntry(
            name="sgd",
            title="SGD",
            help="Stochastic gradient descent, with momentum if asked.",
            family=UpdateFamily.SGD_LIKE,
            learning_rate=0.1,
            options=(Option("momentum", 0.0, "Decay of the velocity.", 0.0, 0.9999999),),
        ),
    )
}

_ZERO_READOUT = "Start the readout at zero (no legal exceptions at initialization)."

PARAMETRIZATION_ENTRIES: dict[str, ParametrizationEntry] = {
    name: ParametrizationEntry(
        name=name,
        title=PARAMETRIZATIONS[name].title,
        source=PARAMETRIZATIONS[name].source,
        options=(Option("zero_readout", zero_readout, _ZERO_READOUT),),
    )
    for name, zero_readout in (("sp", False), ("mup", True))
}


def complete_options(options: Mapping[str, OptionValue], known: tuple[Option, ...]) -> Options:
    """Fill in defaults and refuse, with a sentence, what is unknown or out of range."""
    allowed = {option.name: option for option in known}
    for name in options:
        if name not in allowed:
            names = ", ".join(sorted(allowed)) or "none"
            raise ValueError(f"unknown option {name!r}; allowed: {names}")
    return {name: _checked(option, options.get(name)) for name, option in allowed.items()}


def _checked(option: Option, value: OptionValue | None) -> OptionValue:
    if value is None:
        return option.default
    kind = type(option.default)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind:
        raise ValueError(f"option {option.name!r} must be {kind.__name__}, got {value!r}")
    if kind is not bool and not option.low <= value <= option.high:
        raise ValueError(
            f"option {option.name!r} must lie between {option.low:g} and {option.high:g}, "
            f"got {value!r}"
        )
    return value
