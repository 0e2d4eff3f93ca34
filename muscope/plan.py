"""A spec becomes runs, runs become bundles, and both have a cost: all by arithmetic."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass
from functools import lru_cache
from itertools import groupby, product

from muscope import catalogue
from muscope.catalogue import ActivationEntry
from muscope.spec import MAX_RUNS, ModelSpec, RunSpec, StudySpec
from muscope.vocabulary import Statistic

BYTES_PER_FLOAT = 4


@dataclass(frozen=True, slots=True)
class PlannedBundle:
    """Runs of identical shapes, executed together as one stacked model."""

    runs: tuple[RunSpec, ...]
    flops: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study will cost, before it is submitted; `cells` are the slopes to be judged."""

    bundles: tuple[PlannedBundle, ...]
    run_count: int
    largest_parameters: int
    flops: float
    measurement_rows: int
    cells: int
    warnings: tuple[str, ...]


def plan(spec: StudySpec, *, max_runs: int = MAX_RUNS) -> Plan:
    """Plan a study, or raise ValueError when its grid is larger than `max_runs`."""
    if spec.run_count > max_runs:
        raise ValueError(
            f"the grid has {spec.run_count} runs, at most {max_runs} are allowed; "
            "take fewer widths, depths, seeds or variants"
        )
    bundles = tuple(_bundles(spec))
    rows = sum(
        len(bundle.runs) * (spec.steps + 1) * _cost(bundle.runs[0]).tensors for bundle in bundles
    )
    return Plan(
        bundles=bundles,
        run_count=spec.run_count,
        largest_parameters=max(_cost(bundle.runs[0]).parameters for bundle in bundles),
        flops=sum(bundle.flops for bundle in bundles),
        measurement_rows=rows,
        cells=len(Statistic) * rows // (len(spec.widths) * spec.seeds),
        warnings=tuple(_warnings(spec)),
    )


def weights(run: RunSpec) -> tuple[catalogue.WeightEntry, ...]:
    """The weights of the model that a run trains."""
    entry = catalogue.MODELS[run.variant.model.name]
    return entry.weights(run.width, run.depth, _options(run.variant.model))


def activations(run: RunSpec) -> tuple[ActivationEntry, ...]:
    """The activations that a run records."""
    entry = catalogue.MODELS[run.variant.model.name]
    return entry.activations(run.width, run.depth, _options(run.variant.model))


def runs(spec: StudySpec) -> Iterator[RunSpec]:
    """Every run of the grid: small widths first, so that a picture is there early."""
    grid = product(spec.widths, spec.depths, spec.variants, range(spec.seeds))
    for width, depth, variant, seed in grid:
        yield RunSpec(
            variant=variant,
            width=width,
            depth=depth,
            base_width=spec.base_width or spec.widths[0],
            base_depth=spec.base_depth or spec.depths[0],
            seed=seed,
            steps=spec.steps,
        )


def _bundles(spec: StudySpec) -> Iterator[PlannedBundle]:
    """Runs of one model, optimizer, width and depth: they differ only in scalars."""
    order = {key: number for number, key in enumerate(dict.fromkeys(map(_shape, runs(spec))))}
    ordered = sorted(runs(spec), key=lambda run: order[_shape(run)])
    for _, members in groupby(ordered, key=_shape):
        group = tuple(members)
        yield PlannedBundle(
            runs=group,
            flops=len(group) * _flops(group[0]),
            memory_bytes=len(group) * _memory_bytes(group[0]),
        )


def _shape(run: RunSpec) -> tuple[str, str, int, int]:
    variant = run.variant
    optimizer = variant.optimizer.model_dump_json(exclude={"learning_rate"})
    return (variant.model.model_dump_json(), optimizer, run.width, run.depth)


def _options(model: ModelSpec) -> catalogue.Options:
    return dict(model.options)


@dataclass(frozen=True, slots=True)
class _Cost:
    """What one model of a shape takes, per example where that matters."""

    parameters: int
    forward_flops: int
    recorded: int
    unrecorded: int
    tensors: int


def _cost(run: RunSpec) -> _Cost:
    """The cost of any depth from depths 1 and 2, because every block costs the same."""
    model = run.variant.model.model_dump_json()
    first, second = (_cost_at(model, run.width, depth) for depth in (1, 2))
    totals = zip(astuple(first), astuple(second), strict=True)
    return _Cost(*(one + (run.depth - 1) * (two - one) for one, two in totals))


@lru_cache(maxsize=1024)
def _cost_at(model_json: str, width: int, depth: int) -> _Cost:
    model = ModelSpec.model_validate_json(model_json)
    described, options = catalogue.MODELS[model.name], _options(model)
    weight_entries = described.weights(width, depth, options)
    activation_entries = described.activations(width, depth, options)
    return _Cost(
        parameters=sum(weight.parameters for weight in weight_entries),
        forward_flops=sum(entry.flops_per_example for entry in weight_entries)
        + sum(entry.flops_per_example for entry in activation_entries),
        recorded=sum(entry.elements_per_example for entry in activation_entries),
        unrecorded=sum(entry.unrecorded_elements for entry in activation_entries),
        tensors=len(activation_entries),
    )


def _flops(run: RunSpec) -> float:
    """Forward and backward are three forwards; the last step is recorded by one more forward."""
    forward = _cost(run).forward_flops
    return float(forward) * run.variant.model.batch_size * (3 * run.steps + 1)


def _memory_bytes(run: RunSpec) -> int:
    """Weights, gradients, two moments; activations with their gradients, and those at step 0."""
    cost = _cost(run)
    per_example = 3 * cost.recorded + 2 * cost.unrecorded
    return BYTES_PER_FLOAT * (4 * cost.parameters + per_example * run.variant.model.batch_size)


def _warnings(spec: StudySpec) -> Iterator[str]:
    if spec.seeds == 1:
        yield "1 seed: no interval can be given, so nothing can be judged; take at least 3 seeds"
    elif spec.seeds == 2:
        yield "2 seeds: the interval has one degree of freedom and is very wide; take at least 3"
    if len(spec.widths) < 4 or spec.widths[-1] < 8 * spec.widths[0]:
        yield "fewer than 4 widths or less than a factor 8 between them: slopes will be uncertain"
    if spec.widths[0] < 64:
        yield f"smallest width {spec.widths[0]}: finite-width effects bend the lines"
