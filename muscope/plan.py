"""A spec becomes runs, runs become bundles, and both have a cost: all by arithmetic."""

from bisect import bisect_right
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product

from muscope import catalogue, costs, sweep_warnings
from muscope.catalogue import ActivationEntry
from muscope.catalogue.statistics import STATISTICS as PLUGGED
from muscope.recording import STATISTICS, Record, recorded_steps
from muscope.spec import MAX_RUNS, TRANSFER_AXES, ModelSpec, RunSpec, StudySpec, Variant, digest
from muscope.tuning import FEWEST_RANKED, SPIKE_WINDOW, Point
from muscope.vocabulary import DecayForm, Role, TensorKind, UpdateFamily

USABLE = 0.9
"""The part of free memory that a bundle may take by its plan: others take of it too."""


FEW_STEPS = 50
"""Of fewer the loss says how far a rate goes, not how well it trains."""


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
    All of it is the most there can be when `at_most` is set: later stages leave runs out.

    Of a study that extends another, everything is of what is to be trained; so many runs are
    `reused`, and `not_reused` says why others are not.
    """

    bundles: tuple[PlannedBundle, ...]
    run_count: int
    largest_parameters: int
    flops: float
    measurement_rows: int
    loss_rows: int
    cells: int
    warnings: tuple[str, ...]
    at_most: bool = False
    reused: int = 0
    not_reused: tuple[str, ...] = ()


def plan(spec: StudySpec, *, max_runs: int = MAX_RUNS) -> Plan:
    """Plan a study, or raise ValueError when its grid is larger than `max_runs`."""
    if spec.run_count > max_runs:
        rates = "learning rates, " if spec.octaves else ""
        sizes = "batch sizes, " if spec.batch_sizes else ""
        sizes += "sequence lengths, " if spec.sequence_lengths else ""
        sizes += "step counts, " if spec.step_counts else ""
        raise ValueError(
            f"the grid has {spec.run_count} runs, at most {max_runs} are allowed; "
            f"take fewer widths, depths, {sizes}{rates}seeds or variants"
        )
    planned = tuple(bundles(runs(spec)))
    judged = spec.coordinate_check or spec
    return Plan(
        bundles=planned,
        run_count=spec.run_count,
        largest_parameters=max(costs.cost(bundle.runs[0]).parameters for bundle in planned),
        flops=sum(bundle.flops for bundle in planned),
        measurement_rows=_over_runs(planned, costs.rows) + _extra_rows(planned),
        loss_rows=sum(run.steps + 1 for bundle in planned for run in bundle.runs),
        cells=_over_runs(planned, costs.numbers) // (len(spec.widths) * judged.seeds),
        warnings=tuple(_warnings(spec)),
        at_most=spec.has_stages,
    )


def without(planned: Plan, known: Container[str], *, not_reused: Sequence[str] = ()) -> Plan:
    """What is left of a plan when the runs of these digests need no training."""
    members = ([run for run in one.runs if digest(run) not in known] for one in planned.bundles)
    left = tuple(together(some) for some in members if some)
    run_count = sum(len(bundle.runs) for bundle in left)
    parameters = (costs.cost(bundle.runs[0]).parameters for bundle in left)
    return replace(
        planned,
        bundles=left,
        run_count=run_count,
        largest_parameters=max(parameters, default=0),
        flops=sum(bundle.flops for bundle in left),
        measurement_rows=_over_runs(left, costs.rows) + _extra_rows(left),
        loss_rows=sum(run.steps + 1 for bundle in left for run in bundle.runs),
        reused=planned.run_count - run_count,
        not_reused=tuple(not_reused),
    )


def weights(run: RunSpec) -> tuple[catalogue.WeightEntry, ...]:
    """The weights of the model that a run trains."""
    entry = catalogue.MODELS[run.variant.model.name]
    return entry.weights(run.width, run.depth, _options(run.model))


def activations(run: RunSpec) -> tuple[ActivationEntry, ...]:
    """The activations that a run records."""
    entry = catalogue.MODELS[run.variant.model.name]
    return entry.activations(run.width, run.depth, _options(run.model))


def tensors(run: RunSpec) -> tuple[RecordedTensor, ...]:
    """All that a run records, in order: activations, then weights, gradients and updates."""
    return tuple(
        RecordedTensor(entry.name, entry.role, kind)
        for kind in STATISTICS[run.record]
        for entry in (activations(run) if kind is TensorKind.ACTIVATION else weights(run))
    )


def rows(run: RunSpec, until: int | None = None) -> int:
    """How many measurements a run gives, up to a step: one per recorded step, tensor and kind."""
    return sum(costs.rows(run, until).values())


def runs(spec: StudySpec) -> Iterator[RunSpec]:
    """Every run of the grid: small widths first, so that a picture is there early.

    Those of a coordinate check, which are short, come before those of the sweep beside it.
    """
    if spec.tuning is not None:
        yield from _runs_of_sets(spec, spec.tuning.keep)
        return
    if len(spec.parts) > 1:
        for part in spec.parts:
            yield from runs(part)
        return
    octaves = spec.reachable_octaves or (0.0,)
    sizes = spec.batch_sizes or (None,)
    lengths = spec.sequence_lengths or (None,)
    counts = spec.step_counts or (spec.steps,)
    shapes = product(spec.widths, spec.depths, sizes, lengths, counts)
    grid = product(shapes, spec.variants, octaves, range(spec.seeds))
    for (width, depth, batch_size, length, steps), variant, octave, seed in grid:
        yield RunSpec(
            variant=variant,
            width=width,
            depth=depth,
            base_width=spec.base_width or spec.widths[0],
            base_depth=spec.base_depth or spec.depths[0],
            seed=seed,
            steps=steps,
            record=spec.record,
            batches=spec.batches,
            octave=octave,
            held_out=spec.held_out,
            batch_size=batch_size,
            statistics=spec.statistics,
            record_every=spec.record_every,
            sequence_length=length,
        )


def run_of_set(spec: StudySpec, variant: Variant, width: int, of: Point, seed: int) -> RunSpec:
    """The run of one set of hyperparameters."""
    return RunSpec(
        variant=variant,
        width=width,
        depth=spec.depths[0],
        base_width=spec.base_width or spec.widths[0],
        base_depth=spec.base_depth or spec.depths[0],
        seed=seed,
        steps=spec.steps,
        record=spec.record,
        batches=spec.batches,
        octave=of.octave,
        held_out=spec.held_out,
        tuned=dict(of.tuned),
        gradient_norm=True,
    )


def _runs_of_sets(spec: StudySpec, keep: Sequence[int]) -> Iterator[RunSpec]:
    """As many runs as a search has at most; which sets they try, results decide."""
    for (place, width), variant in product(enumerate(spec.widths), spec.variants):
        sets = keep[place - 1] if place else spec.sets_at_most(variant)
        for _, seed in product(range(sets), range(spec.seeds)):
            yield run_of_set(spec, variant, width, Point(), seed)


def bundles(chosen: Iterable[RunSpec]) -> Iterator[PlannedBundle]:
    """Runs of one model, batch, optimizer, width and depth: they differ only in scalars."""
    shaped = [(_shape(run), run) for run in chosen]
    order = {key: number for number, key in enumerate(dict.fromkeys(key for key, _ in shaped))}
    ordered = [run for _, run in sorted(shaped, key=lambda pair: order[pair[0]])]
    for _, members in groupby(ordered, key=_shape):
        yield together(tuple(members))


def together(chosen: Sequence[RunSpec]) -> PlannedBundle:
    """Runs of one shape as a bundle, with what it costs."""
    return PlannedBundle(
        runs=tuple(chosen),
        flops=len(chosen) * costs.flops(chosen[0]),
        memory_bytes=_memory_bytes(chosen[0], len(chosen)),
    )


def fitting(chosen: Sequence[RunSpec], free_bytes: int) -> int:
    """How many runs of one shape a device with so much free memory holds; one is always tried."""
    usable, first = USABLE * free_bytes, chosen[0]
    sizes = range(1, len(chosen) + 1)
    return max(1, bisect_right(sizes, usable, key=lambda size: _memory_bytes(first, size)))


def cut(bundle: PlannedBundle, free_bytes: int) -> tuple[PlannedBundle, ...]:
    """A bundle in pieces that fit into so much free memory; as it is if it does."""
    size = fitting(bundle.runs, free_bytes)
    firsts = range(0, len(bundle.runs), size)
    return tuple(together(bundle.runs[first : first + size]) for first in firsts)


def _memory_bytes(run: RunSpec, members: int) -> int:
    return members * costs.memory_bytes(run) + costs.batch_bytes(run, members)


def _shape(run: RunSpec) -> tuple[str, str, str, int, int, Record, int]:
    variant = run.variant
    optimizer = variant.optimizer.model_dump_json(exclude={"learning_rate"})
    operators = catalogue.PARAMETRIZATION_ENTRIES[variant.parametrization.name].operators
    model = run.model.model_dump_json()
    return (model, optimizer, operators, run.width, run.depth, run.record, run.steps)


def _options(model: ModelSpec) -> catalogue.Options:
    return dict(model.options)


def _over_runs(
    bundles: tuple[PlannedBundle, ...], of: Callable[[RunSpec], dict[TensorKind, int]]
) -> int:
    return sum(len(bundle.runs) * sum(of(bundle.runs[0]).values()) for bundle in bundles)


def _extra_rows(bundles: Sequence[PlannedBundle]) -> int:
    """The numbers of plugins' statistics, a row each."""
    return sum(
        len(bundle.runs) * costs.rows(bundle.runs[0]).get(kind, 0)
        for bundle in bundles
        for name in bundle.runs[0].statistics
        for kind in PLUGGED[name].of
    )


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


def _asked(spec: StudySpec) -> tuple[str, tuple[int, ...]]:
    """What slopes are taken over, in words, and its values."""
    if spec.kind != "lr_transfer":
        return "widths", spec.widths
    name = TRANSFER_AXES[spec.transfer_axes[0]]
    return name.replace("_", " "), getattr(spec, name)


def _search_warnings(spec: StudySpec, keep: Sequence[int]) -> Iterator[str]:
    """What a hyperparameter search cannot tell as it is."""
    if keep and keep[0] < FEWEST_RANKED:
        yield (
            f"keep {keep[0]}: with fewer than {FEWEST_RANKED} sets at a larger width nothing is "
            "said of how far its ranking agrees with the smallest width's"
        )
    if spec.steps < 2 * SPIKE_WINDOW:
        yield (
            f"{spec.steps} steps: a spike of the loss is told by the {SPIKE_WINDOW} steps before "
            f"it; take {2 * SPIKE_WINDOW} or more"
        )


def _grid_warnings(spec: StudySpec) -> Iterator[str]:
    """What the values of the axes cannot tell, or hardly mean."""
    axis, grid = _asked(spec)
    if spec.tuning is None and (len(grid) < 4 or grid[-1] < 8 * grid[0]):
        yield f"fewer than 4 {axis} or less than a factor 8 between them: slopes will be uncertain"
    if spec.base_width not in spec.widths:
        yield (
            f"base width {spec.base_width} is none of the widths, so µP equals SP at none of them; "
            "leave it out for the smallest"
        )
    yield from sweep_warnings.warnings(spec)


def _warnings(spec: StudySpec) -> Iterator[str]:
    if spec.tuning is not None:
        yield from _search_warnings(spec, spec.tuning.keep)
    if spec.seeds == 1:
        yield "1 seed: no interval can be given, so nothing can be judged; take at least 3 seeds"
    elif spec.seeds == 2:
        yield "2 seeds: the interval has one degree of freedom and is very wide; take at least 3"
    if spec.stop_early and spec.seeds < 5:
        yield "stop early: with fewer than 5 seeds there is one look only, so nothing stops"
    yield from _grid_warnings(spec)
    if spec.batches == "fresh" and spec.kind == "coordinate_check":
        yield "fresh batches: what changed since step 0 contains that the batch is another one"
    checked = spec.coordinate_check or spec
    if 1 not in recorded_steps(checked.steps, checked.record_every):
        yield "step 1 is not recorded: what theory knows of it only is not compared"
    if spec.kind != "coordinate_check" and spec.shortest < FEW_STEPS:
        yield f"{spec.shortest} steps: so early the largest learning rate wins; take 100 or more"
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
