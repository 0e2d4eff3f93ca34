"""A spec becomes runs, runs become bundles, and both have a cost: all by arithmetic."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, product

from muscope import catalogue, costs
from muscope.catalogue import ActivationEntry
from muscope.recording import STATISTICS
from muscope.spec import MAX_RUNS, ModelSpec, RunSpec, StudySpec, Variant
from muscope.vocabulary import DecayForm, Role, TensorKind, UpdateFamily


@dataclass(frozen=True, slots=True)
class PlannedBundle:
    """Runs of identical shapes, executed together as one stacked model."""

    runs: tuple[RunSpec, ...]
    flops: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class RecordedTensor:
    """A tensor of which a run records one kind; a gradient or an update has its weight's name."""

    name: str
    role: Role
    kind: TensorKind


@dataclass(frozen=True, slots=True)
class Plan:
    """What a study will cost, before it is submitted; `cells` are the slopes to be judged.

    Rows in the database are its measurements, at recorded steps, and the losses of every step.
    """

    bundles: tuple[PlannedBundle, ...]
    run_count: int
    largest_parameters: int
    flops: float
    measurement_rows: int
    loss_rows: int
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
    return Plan(
        bundles=bundles,
        run_count=spec.run_count,
        largest_parameters=max(costs.cost(bundle.runs[0]).parameters for bundle in bundles),
        flops=sum(bundle.flops for bundle in bundles),
        measurement_rows=_over_runs(bundles, costs.rows),
        loss_rows=spec.run_count * (spec.steps + 1),
        cells=_over_runs(bundles, costs.numbers) // (len(spec.widths) * spec.seeds),
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


def tensors(run: RunSpec) -> tuple[RecordedTensor, ...]:
    """All that a run records, in order: activations, then weights, gradients and updates."""
    return tuple(
        RecordedTensor(entry.name, entry.role, kind)
        for kind in STATISTICS[run.record]
        for entry in (activations(run) if kind is TensorKind.ACTIVATION else weights(run))
    )


def rows(run: RunSpec) -> int:
    """How many measurements a run gives: one per recorded step, tensor and kind."""
    return sum(costs.rows(run).values())


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
            record=spec.record,
            batches=spec.batches,
        )


def _bundles(spec: StudySpec) -> Iterator[PlannedBundle]:
    """Runs of one model, optimizer, width and depth: they differ only in scalars."""
    order = {key: number for number, key in enumerate(dict.fromkeys(map(_shape, runs(spec))))}
    ordered = sorted(runs(spec), key=lambda run: order[_shape(run)])
    for _, members in groupby(ordered, key=_shape):
        group = tuple(members)
        yield PlannedBundle(
            runs=group,
            flops=len(group) * costs.flops(group[0]),
            memory_bytes=len(group) * costs.memory_bytes(group[0])
            + costs.batch_bytes(group[0], len(group)),
        )


def _shape(run: RunSpec) -> tuple[str, str, str, int, int]:
    variant = run.variant
    optimizer = variant.optimizer.model_dump_json(exclude={"learning_rate"})
    operators = catalogue.PARAMETRIZATION_ENTRIES[variant.parametrization.name].operators
    return (variant.model.model_dump_json(), optimizer, operators, run.width, run.depth)


def _options(model: ModelSpec) -> catalogue.Options:
    return dict(model.options)


def _over_runs(
    bundles: tuple[PlannedBundle, ...], of: Callable[[RunSpec], dict[TensorKind, int]]
) -> int:
    return sum(len(bundle.runs) * sum(of(bundle.runs[0]).values()) for bundle in bundles)


def _is_slow_under_u_mup(variant: Variant) -> bool:
    """Whether a rate of Adam's kind is one that SP and µP would take (Blake et al. 2024)."""
    optimizer = variant.optimizer
    if variant.parametrization.name != "u_mup" or optimizer.learning_rate >= 0.05:
        return False
    return catalogue.OPTIMIZERS[optimizer.name].family is UpdateFamily.SIGN_LIKE


def _decays_through_moments(variant: Variant) -> bool:
    """Whether weight decay is on in a form for which no factor is right (facts 1 and 3)."""
    entry = catalogue.OPTIMIZERS[variant.optimizer.name]
    through = entry.decay is DecayForm.L2 and entry.family is not UpdateFamily.SGD_LIKE
    return through and bool(variant.optimizer.options.get("weight_decay"))


def _warnings(spec: StudySpec) -> Iterator[str]:
    if spec.seeds == 1:
        yield "1 seed: no interval can be given, so nothing can be judged; take at least 3 seeds"
    elif spec.seeds == 2:
        yield "2 seeds: the interval has one degree of freedom and is very wide; take at least 3"
    if len(spec.widths) < 4 or spec.widths[-1] < 8 * spec.widths[0]:
        yield "fewer than 4 widths or less than a factor 8 between them: slopes will be uncertain"
    if spec.batches == "fresh":
        yield "fresh batches: what changed since step 0 contains that the batch is another one"
    if any(arm.model.options.get("precision") == "fp8" for arm in spec.arms):
        yield "fp8: what underflows is exactly zero, and slopes show it; record full counts it"
    if any(_is_slow_under_u_mup(variant) for variant in spec.variants):
        yield "u-µP's learning rates are absolute and best near 1: below 0.05 little is learned"
    if any(_decays_through_moments(variant) for variant in spec.variants):
        yield (
            "weight decay of 'adam' goes through its moments: no rule keeps it the same at every "
            "width, so take 'adamw' to transfer it"
        )
    if spec.widths[0] < 64:
        yield f"smallest width {spec.widths[0]}: finite-width effects bend the lines"
