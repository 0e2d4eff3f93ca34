"""Descriptions as entries of the catalogue, which behave like those that are built in."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import partial
from itertools import groupby, product
from typing import TypeAlias, TypeVar

from muscope import catalogue
from muscope.catalogue import datasets, parametrizations
from muscope.catalogue.models import entries as model_entries
from muscope.catalogue.models import transformer
from muscope.catalogue.models.entries import (
    PRECISION,
    ActivationEntry,
    ModelEntry,
    WeightEntry,
    WeightKind,
)
from muscope.catalogue.optimizers import SCHEDULE, OptimizerEntry
from muscope.catalogue.options import Option, Options
from muscope.catalogue.parametrizations import ParametrizationEntry
from muscope.catalogue.statistics import StatisticEntry
from muscope.plugins import arithmetic, names
from muscope.plugins.descriptions import (
    ActivationDescription,
    DatasetDescription,
    Described,
    ModelDescription,
    OptimizerDescription,
    ParametrizationDescription,
    RuleDescription,
    StatisticDescription,
    WeightDescription,
)
from muscope.theory.rule import (
    ROLES,
    VECTORS,
    Parametrization,
    Switches,
    WeightDims,
    WeightRule,
    no_rule,
)
from muscope.vocabulary import Role, UpdateFamily

Part = TypeVar("Part", WeightDescription, ActivationDescription)
BLOCK = "{block}"
Entry: TypeAlias = (
    OptimizerEntry | ParametrizationEntry | catalogue.DatasetEntry | ModelEntry | StatisticEntry
)


def entry(described: Described) -> Entry:
    """The entry that a description is, under its full name."""
    match described.description:
        case OptimizerDescription() as description:
            return _optimizer(described, description)
        case ParametrizationDescription() as description:
            return _parametrization(described, description)
        case DatasetDescription() as description:
            return _dataset(described, description)
        case ModelDescription() as description:
            return _model(described, description)
        case StatisticDescription() as description:
            return StatisticEntry(
                described.name, _title(described), description.help, description.of
            )


def _title(described: Described) -> str:
    """With its package, so that none can be taken for a built-in one."""
    return f"{described.description.title} [{names.parse(described.name).of_package}]"


def _numbers(options: Mapping[str, catalogue.OptionValue]) -> dict[str, int | float]:
    return {name: value for name, value in options.items() if not isinstance(value, str)}


def _optimizer(described: Described, description: OptimizerDescription) -> OptimizerEntry:
    def cost(rows: int, columns: int, options: Options) -> tuple[float, int, int]:
        numbers = {**_numbers(options), "rows": rows, "columns": columns}
        flops = max(0.0, arithmetic.number(description.flops, numbers))
        state, at_hand = (
            arithmetic.whole(of, numbers) for of in (description.state, description.at_hand)
        )
        return flops, state, at_hand

    own = tuple(option.option for option in description.options)
    return OptimizerEntry(
        name=described.name,
        title=_title(described),
        help=description.help,
        family=description.family,
        learning_rate=description.learning_rate,
        options=(*own, *_fallback_options(description, own), *SCHEDULE),
        fallback=description.fallback,
        decay=description.decay,
        squared_epsilon=description.squared_epsilon,
        cost_of=cost,
    )


def _fallback_options(
    description: OptimizerDescription, own: tuple[Option, ...]
) -> Iterator[Option]:
    """Those that the other optimizer needs and this one has not."""
    if description.fallback is not None:
        taken = {option.name for option in (*own, *SCHEDULE)}
        for option in catalogue.OPTIMIZERS[description.fallback].options:
            if option.name not in taken:
                yield option


def _parametrization(
    described: Described, description: ParametrizationDescription
) -> ParametrizationEntry:
    def table(dims: WeightDims, family: UpdateFamily, options: Switches) -> WeightRule:
        row = _row(description, dims.role, family)
        if row is None:
            raise no_rule(described.name, family, tuple(description.rules))
        numbers = _of_dims(dims) | _numbers(options)
        return WeightRule(*(arithmetic.number(of, numbers) for of in row.formulas))

    def attention_scale(head_size: int, base_head_size: int, options: Switches) -> float:
        numbers = {**_numbers(options), "d": head_size, "base_d": base_head_size}
        return arithmetic.number(description.attention_scale, numbers)

    def residual_multiplier(depth: int, base_depth: int, options: Switches) -> float:
        numbers = {**_numbers(options), "depth": depth, "base_depth": base_depth}
        return arithmetic.number(description.residual_multiplier, numbers)

    theory = Parametrization(
        name=described.name,
        title=_title(described),
        source=description.source,
        families=tuple(description.rules),
        table=table,
        formulas=lambda _: _formulas(description),
        attention_scale=attention_scale,
        residual_multiplier=residual_multiplier,
        needs_branches=description.needs_branches,
    )
    own = tuple(option.option for option in description.options)
    return parametrizations.described(theory, own)


def _row(
    description: ParametrizationDescription, role: Role, family: UpdateFamily
) -> RuleDescription | None:
    rows = description.rules.get(family)
    if rows is None:
        return None
    by_name: Mapping[str, RuleDescription] = {str(name): row for name, row in rows.items()}
    return by_name.get(role.value, by_name["embedding" if role in VECTORS else "hidden"])


def _of_dims(dims: WeightDims) -> dict[str, int | float]:
    return {
        "m": dims.m,
        "m_in": dims.m_in,
        "m_out": dims.m_out,
        "r": dims.r,
        "fan_in": dims.fan_in,
        "fan_out": dims.fan_out,
        "base_fan_in": dims.base_fan_in,
        "base_fan_out": dims.base_fan_out,
        "depth": dims.depth,
        "base_depth": dims.base_depth,
        "is_bias": dims.is_bias,
        "in_branch": dims.in_branch,
        "writes_stream": dims.writes_stream,
    }


def _formulas(description: ParametrizationDescription) -> dict[Role, str]:
    """The rows as a person reads them: A and B of the first family, C of each."""
    found = {}
    for role in (Role.EMBEDDING, Role.HIDDEN, Role.OUTPUT):
        rows = {family: _row(description, role, family) for family in description.rules}
        first = next(row for row in rows.values() if row is not None)
        rates = (
            f"{row.learning_rate_factor} ({family.value})" for family, row in rows.items() if row
        )
        found[role] = f"A = {first.multiplier}, B = {first.init_std}, C: {', '.join(rates)}"
    return found


def _dataset(described: Described, description: DatasetDescription) -> catalogue.DatasetEntry:
    is_text = description.modality == "text"
    return catalogue.DatasetEntry(
        name=described.name,
        title=_title(described),
        help=description.help,
        source=description.source,
        modality=description.modality,
        classes=description.classes,
        shape=description.shape,
        least_classes=description.classes if is_text else 0,
    )


_SEQUENCE_LENGTH = Option("sequence_length", 64, "Tokens per example.", 2, 65_536)
_HEADS = (
    Option("head_size", 32, "Elements per attention head; heads grow with width.", 1, 1024),
    Option("heads", 0, "Fixed number of heads; 0: width over head size.", 0, 1024),
    Option("queries_per_key", 1, "Query heads that share a key and a value.", 1, 1024),
    Option(
        "attention_scale",
        transformer.ATTENTION_SCALES[0],
        "Of q.k: the rule's, or one of these.",
        allowed=transformer.ATTENTION_SCALES,
    ),
    Option("attention_alpha", 1.0, "Multiplies q.k too.", 1e-6, 1e6),
)


def _model(described: Described, description: ModelDescription) -> ModelEntry:
    dataset = _dataset_of(described, description)
    is_text = catalogue.DATASETS[dataset].modality == "text"
    own = tuple(option.option for option in description.options)
    return ModelEntry(
        name=described.name,
        title=_title(described),
        help=description.help,
        dataset=dataset,
        batch_size=description.batch_size,
        options=(
            *own,
            *((_SEQUENCE_LENGTH,) if is_text else ()),
            *(_HEADS if description.attention else ()),
            PRECISION,
            *datasets.data_options(dataset),
        ),
        complaint_of=partial(_complaint, description, dataset),
        weights_of=partial(_weights, description, dataset),
        activations_of=partial(_activations, description, dataset),
    )


def _dataset_of(described: Described, description: ModelDescription) -> str:
    """The default dataset, built in or of the same package: `./name` is one of these."""
    name = next(iter(described.depends), description.dataset)
    if name not in catalogue.DATASETS:
        raise ValueError(
            f"dataset {description.dataset!r} is none of {', '.join(catalogue.DATASETS)}"
        )
    return catalogue.DATASETS[name].name


def _of_model(
    description: ModelDescription, dataset: str, width: int, options: Options
) -> dict[str, int | float]:
    data = datasets.chosen(dataset, options)
    channels, side, *_ = (data.shape[0], data.shape[-1]) if data.shape else (0, 0)
    numbers: dict[str, int | float] = _numbers(options)
    if description.attention:
        heads = transformer.heads(width, options)
        numbers |= {"head_size": heads.size, "heads": heads.queries}
    return numbers | {
        "width": width,
        "inputs": data.inputs,
        "classes": datasets.classes(data, options),
        "channels": channels,
        "side": side,
    }


def _complaint(
    description: ModelDescription, dataset: str, width: int, options: Options
) -> str | None:
    about_data = datasets.complaint(dataset, options)
    if about_data:
        return about_data
    if description.attention:
        complaint = transformer.heads_complaint(width, {**options, "positions": "learned"})
        if complaint:
            return complaint
    numbers = _of_model(description, dataset, width, options)
    for requirement in description.requires:
        if not arithmetic.holds(requirement.that, numbers):
            return f"width {width}: {requirement.why}"
    return None


def _weights(
    description: ModelDescription, dataset: str, width: int, depth: int, options: Options
) -> tuple[WeightEntry, ...]:
    numbers = _of_model(description, dataset, width, options)
    return tuple(
        _weight(block, of, numbers) for of, block in _unrolled(description.weights, depth, numbers)
    )


def _weight(block: int, of: WeightDescription, numbers: Mapping[str, int | float]) -> WeightEntry:
    fan_out, fan_in, rows, uses = (
        max(1, arithmetic.whole(formula, numbers)) for formula in of.formulas
    )
    name, role = _named(of.name, block), Role(of.role)
    match of.layout:
        case "table":
            entry = model_entries.table(name, rows, fan_out)
        case "bias":
            entry = WeightEntry(name, role, 1, fan_out, fan_out, kind=WeightKind.BIAS)
        case "gain":
            entry = WeightEntry(name, role, 1, fan_out, fan_out, kind=WeightKind.GAIN)
        case "convolution":
            entry = model_entries.convolution(
                name, role, fan_out, fan_in, kernel=of.kernel, pixels=uses, stride=of.stride
            )
        case "matrix":
            entry = model_entries.matrix(name, role, fan_out, fan_in, uses=uses)
    return replace(
        entry,
        in_branch=of.in_branch,
        writes_stream=of.writes_stream,
        part=of.part,
        starts_at_zero=of.starts_at_zero,
    )


def _activations(
    description: ModelDescription, dataset: str, width: int, depth: int, options: Options
) -> tuple[ActivationEntry, ...]:
    numbers = _of_model(description, dataset, width, options)
    return tuple(
        _activation(block, of, numbers)
        for of, block in _unrolled(description.activations, depth, numbers)
    )


def _activation(
    block: int, of: ActivationDescription, numbers: Mapping[str, int | float]
) -> ActivationEntry:
    elements, flops, unrecorded = (arithmetic.whole(formula, numbers) for formula in of.formulas)
    return ActivationEntry(
        name=_named(of.name, block),
        role=Role(of.role),
        elements_per_example=max(1, elements),
        flops_per_example=flops,
        unrecorded_elements=unrecorded,
        aligns_slowly=of.aligns_slowly,
    )


def _unrolled(
    parts: tuple[Part, ...], depth: int, numbers: Mapping[str, int | float]
) -> Iterator[tuple[Part, int]]:
    """Each part with its block: those of blocks that follow each other repeat together."""
    there = (part for part in parts if part.when is None or numbers[part.when])
    for repeats, group in groupby(there, key=lambda part: BLOCK in part.name):
        together = tuple(group)
        for block in range(depth if repeats else 1):
            yield from ((part, block) for part in together)


def _named(name: str, block: int) -> str:
    return name.replace(BLOCK, str(block))


def try_out(described: Described) -> None:
    """Ask an entry for its numbers at a few sizes; ValueError where a formula has none.

    With the options as they are by default; others are asked about by the study that has them.
    """
    match described.description:
        case OptimizerDescription():
            made = _optimizer(described, described.description)
            options = catalogue.with_defaults({}, made.options)
            for rows, columns in ((64, 1), (64, 64), (10, 512)):
                assert made.cost_of is not None
                made.cost_of(rows, columns, options)
        case ParametrizationDescription() as description:
            made_theory = _parametrization(described, description)
            options = catalogue.with_defaults({}, made_theory.options)
            for role, family in product(ROLES, description.rules):
                dims = WeightDims(role, 256, 256, 64, 64, depth=4, base_depth=2, in_branch=True)
                rule = made_theory.theory.weight_rule(dims, family, options)
                if rule.multiplier == 0 or rule.init_std < 0 or rule.learning_rate_factor <= 0:
                    raise ValueError(
                        f"its rule for {role.value} weights and {family.value!r} is no rule: "
                        "a multiplier must not be 0, an init_std not negative, a "
                        "learning_rate_factor positive"
                    )
        case ModelDescription():
            _try_model(catalogue.MODELS[described.name])
        case _:
            pass


def _try_model(model: ModelEntry) -> None:
    """At the widths that it can have, of those that everybody takes."""
    options = catalogue.with_defaults({}, model.options)
    complaints = {width: model.check(width, options) for width in (64, 128, 192, 256, 512)}
    widths = [width for width, complaint in complaints.items() if complaint is None]
    if not widths:
        raise ValueError(f"it can have none of the widths 64 to 512: {complaints[64]}")
    for width, depth in product(widths[:2], (1, 3)):
        for found in (
            model.weights(width, depth, options),
            model.activations(width, depth, options),
        ):
            given = [one.name for one in found]
            for name in given:
                if given.count(name) > 1:
                    raise ValueError(f"{name!r} is there twice at depth {depth}")
