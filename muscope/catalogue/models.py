"""The models that the lab can build, with their tensors by arithmetic."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from muscope.catalogue.datasets import DATASETS
from muscope.catalogue.options import Option, Options
from muscope.vocabulary import Role


@dataclass(frozen=True, slots=True)
class WeightEntry:
    """One weight of a model: its name, role and shape (fan_out, fan_in).

    `fan_in` is 1 for a lookup table, whose input is one-hot; its parameters are fan_out * rows.
    `flops_per_example` counts the multiply-adds of one forward on one example, twice. A weight in
    a branch adds to the residual stream; one that `writes_stream` is the last of its branch. `part`
    is "attention", "mlp.up", "mlp.down" or nothing.
    """

    name: str
    role: Role
    fan_in: int
    fan_out: int
    parameters: int
    flops_per_example: int
    in_branch: bool = False
    writes_stream: bool = False
    part: str = ""


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

    def in_branch(name: str, fan_out: int, fan_in: int) -> WeightEntry:
        writes = name.endswith((".attn.o", ".mlp.down"))
        part = "attention" if ".attn." in name else name.split(".", 2)[2]
        entry = matrix(name, Role.HIDDEN, fan_out, fan_in)
        return replace(entry, in_branch=True, writes_stream=writes, part=part)

    blocks = [
        in_branch(f"blocks.{block}.{name}", fan_out, fan_in)
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
