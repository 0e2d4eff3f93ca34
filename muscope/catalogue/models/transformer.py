"""Decoder-only transformers: one arithmetic for GPT and Llama, which differ in their switches."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TypeAlias

from muscope.catalogue import datasets
from muscope.catalogue.models.entries import (
    PRECISION,
    ActivationEntry,
    ModelEntry,
    WeightEntry,
    bias,
    gain,
    matrix,
    table,
)
from muscope.catalogue.options import Option, Options, OptionValue
from muscope.vocabulary import Role

DATASET = "python_docs"
ATTENTION_SCALES = ("rule", "1/d", "1/sqrt(d)")
NONLINEARITIES = ("gelu", "relu", "squared_relu", "silu", "swiglu")
NORMS = ("layernorm", "rmsnorm")
GAINS = ("none", "scalar", "vector")
POSITIONS = ("learned", "rope")
PLACES = ("pre", "post")

Defaults: TypeAlias = dict[str, OptionValue]


def _options(defaults: Defaults) -> tuple[Option, ...]:
    """Every switch, with what one of the models has otherwise."""

    def word(name: str, words: tuple[str, ...], help: str) -> Option:
        default = str(defaults.get(name, words[0]))
        return Option(name, default, help, allowed=words, silent=True)

    def switch(name: str, help: str) -> Option:
        return Option(name, False, help, silent=True)

    return (
        Option("head_size", 32, "Elements per attention head; heads grow with width.", 1, 1024),
        Option("sequence_length", 64, "Tokens per example.", 2, 65_536),
        Option(
            "mlp_ratio",
            defaults.get("mlp_ratio", 4),
            "Width of the feed-forward layer over the model's.",
            1,
            64,
        ),
        word("nonlinearity", NONLINEARITIES, "Of the feed-forward layer; SwiGLU adds a gate."),
        word("norm", NORMS, "What every branch reads the stream through."),
        word("norm_gains", GAINS, "Trainable gains of the norms: none, one each, or a vector."),
        word("norm_placement", PLACES, "Norm before each branch, or after each sum."),
        word("positions", POSITIONS, "A learned table, or rotations of queries and keys."),
        switch("biases", "A bias on every projection of the blocks."),
        Option("heads", 0, "Fixed number of heads; 0: width over head size.", 0, 1024, silent=True),
        Option(
            "queries_per_key",
            defaults.get("queries_per_key", 1),
            "Query heads that share a key and a value (grouped-query attention).",
            1,
            1024,
            silent=True,
        ),
        word("attention_scale", ATTENTION_SCALES, "Of q.k: the rule's, or one of these."),
        Option("attention_alpha", 1.0, "Multiplies q.k too.", 1e-6, 1e6, silent=True),
        Option(
            "residual_multiplier", 1.0, "Multiplies every branch, beside the rule.", 1e-6, 1e6,
            silent=True,
        ),
        switch("zero_query", "Start the query projections at zero."),
        switch("tied_embeddings", "The readout is the token embedding."),
        switch("fused_projections", "q, k, v (and up, gate) are one matrix, scaled part by part."),
        PRECISION,
        *datasets.data_options(DATASET),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Heads:
    """The heads of a width: elements of each, query heads, key heads."""

    size: int
    queries: int
    keys: int


def heads(width: int, options: Options) -> Heads:
    """Heads of fixed size, or a fixed number of heads; only for a width that passed `check`."""
    count = int(options["heads"]) or width // int(options["head_size"])
    return Heads(width // count, count, count // int(options["queries_per_key"]))


def check(width: int, options: Options) -> str | None:
    """The sentence why a width has no such heads, or the data are wrong; else None."""
    return datasets.complaint(DATASET, options) or heads_complaint(width, options)


def heads_complaint(width: int, options: Options) -> str | None:
    """The sentence why a width has no such heads, or None."""
    fixed, size, group = (int(options[name]) for name in ("heads", "head_size", "queries_per_key"))
    if fixed and width % fixed:
        return f"width {width} is not a multiple of the {fixed} heads"
    if not fixed and width % size:
        return f"width {width} is not a multiple of the head size {size}"
    count = fixed or width // size
    if count % group:
        return (
            f"width {width} has {count} heads, which is not a multiple of the {group} queries "
            "that share a key"
        )
    if options["positions"] == "rope" and (width // count) % 2:
        return (
            f"width {width} has heads of {width // count} elements; rotations need an even number"
        )
    return None


def classes(options: Options) -> int:
    """The size of the vocabulary."""
    return datasets.classes(datasets.chosen(DATASET, options), options)


def weights(width: int, depth: int, options: Options) -> tuple[WeightEntry, ...]:
    """The weights, in the order of the forward."""
    learned = options["positions"] == "learned"
    length = int(options["sequence_length"])
    readout = matrix("readout", Role.OUTPUT, classes(options), width, uses=length)
    return (
        table("embedding.token", classes(options), width),
        *([table("embedding.position", length, width)] if learned else []),
        *(entry for number in range(depth) for entry in _block(f"blocks.{number}", width, options)),
        *(_gain("norm", width, options, in_branch=False) if _is_pre(options) else ()),
        *([] if options["tied_embeddings"] else [readout]),
    )


def _is_pre(options: Options) -> bool:
    return options["norm_placement"] == "pre"


def _block(block: str, width: int, options: Options) -> Iterator[WeightEntry]:
    """Attention and feed-forward, each with the gain of its norm before it."""
    of, hidden = heads(width, options), int(options["mlp_ratio"]) * width
    keys, fused = of.keys * of.size, bool(options["fused_projections"])
    gated = options["nonlinearity"] == "swiglu"
    up = (("up", hidden, width), *([("gate", hidden, width)] if gated else []))
    qkv = (("q", width, width), ("k", keys, width), ("v", keys, width))
    yield from _gain(f"{block}.attn.norm", width, options, in_branch=_is_pre(options))
    yield from _projections(f"{block}.attn", "attention", qkv, options, fused=fused)
    yield from _projections(f"{block}.attn", "attention", (("o", width, width),), options)
    yield from _gain(f"{block}.mlp.norm", width, options, in_branch=_is_pre(options))
    yield from _projections(f"{block}.mlp", "mlp", up, options, fused=fused and gated)
    yield from _projections(f"{block}.mlp", "mlp", (("down", width, hidden),), options)


def _projections(
    prefix: str,
    part: str,
    shapes: tuple[tuple[str, int, int], ...],
    options: Options,
    *,
    fused: bool = False,
) -> Iterator[WeightEntry]:
    """The matrices of one place, each with its bias if there are biases."""
    rows = sum(fan_out for _, fan_out, _ in shapes) if fused else 0
    for name, fan_out, fan_in in shapes:
        length = int(options["sequence_length"])
        entry = replace(
            matrix(f"{prefix}.{name}", Role.HIDDEN, fan_out, fan_in, uses=length),
            in_branch=True,
            writes_stream=name in ("o", "down"),
            part=f"{part}.{name}",
            fused_fan_out=rows,
            starts_at_zero=name == "q" and bool(options["zero_query"]),
        )
        yield entry
        if options["biases"]:
            yield bias(entry)


def _gain(name: str, width: int, options: Options, *, in_branch: bool) -> Iterator[WeightEntry]:
    if options["norm_gains"] != "none":
        size = width if options["norm_gains"] == "vector" else 1
        yield gain(f"{name}.gain", size, in_branch=in_branch)


def activations(width: int, depth: int, options: Options) -> tuple[ActivationEntry, ...]:
    """The activations, in the order of the forward."""
    length = int(options["sequence_length"])
    return (
        ActivationEntry("embedding", Role.EMBEDDING, length * width),
        *(
            entry
            for number in range(depth)
            for entry in _block_activations(f"blocks.{number}", width, options)
        ),
        ActivationEntry(
            "readout",
            Role.OUTPUT,
            length * classes(options),
            unrecorded_elements=length * (width + classes(options)),  # norm; log-softmax
            flops_per_example=2 * length * width * classes(options)
            if options["tied_embeddings"]
            else 0,
        ),
    )


def _block_activations(block: str, width: int, options: Options) -> Iterator[ActivationEntry]:
    length, of = int(options["sequence_length"]), heads(width, options)
    stream, hidden = length * width, length * int(options["mlp_ratio"]) * width

    def tensor(
        name: str, elements: int, kept: int = 0, *, aligns_slowly: bool = False
    ) -> ActivationEntry:
        return ActivationEntry(
            f"{block}.{name}",
            Role.HIDDEN,
            elements,
            unrecorded_elements=kept,
            aligns_slowly=aligns_slowly,
        )

    gated = options["nonlinearity"] == "swiglu"
    keys = length * of.keys * of.size
    yield tensor("attn.q", stream, stream, aligns_slowly=True)  # the norm before it
    yield tensor("attn.k", keys, aligns_slowly=True)
    yield tensor("attn.v", keys, aligns_slowly=True)
    yield ActivationEntry(  # only the causal lower triangle is seen; the products are whole
        f"{block}.attn.logits",
        Role.ATTENTION_LOGITS,
        elements_per_example=of.queries * length * (length + 1) // 2,
        flops_per_example=4 * length**2 * width,
        # q scaled, k and v for every query's head where some share them: attention keeps no logits
        unrecorded_elements=(1 if of.queries == of.keys else 3) * stream,
        aligns_slowly=True,
    )
    yield tensor("attn.out", stream, stream)  # what attention mixed
    # the stream after attention, and its norm
    yield tensor("mlp.up", hidden, 2 * stream, aligns_slowly=True)
    if gated:
        yield tensor("mlp.gate", hidden, aligns_slowly=True)
    yield tensor("mlp.out", stream, 2 * hidden if gated else hidden)  # the nonlinearity, its gate
    yield ActivationEntry(f"{block}.residual", Role.RESIDUAL, stream)


def _entry(name: str, title: str, help: str, **defaults: OptionValue) -> ModelEntry:
    return ModelEntry(
        name=name,
        title=title,
        help=help,
        dataset=DATASET,
        batch_size=8,
        options=_options(defaults),
        complaint_of=check,
        weights_of=weights,
        activations_of=activations,
    )


GPT = _entry(
    "gpt",
    "GPT",
    "Decoder-only transformer: learned positions, pre-norm without gains, GELU.",
)
LLAMA = _entry(
    "llama",
    "Llama",
    "Decoder-only transformer: RMSNorm, rotary positions, SwiGLU, grouped-query attention.",
    nonlinearity="swiglu",
    norm="rmsnorm",
    positions="rope",
    queries_per_key=2,
    mlp_ratio=3,
)
