"""What a run costs, by arithmetic: operations, memory, rows of measurements."""

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from muscope import catalogue
from muscope.catalogue import datasets
from muscope.catalogue.optimizer_costs import curvature_estimates, update_cost
from muscope.recording import STATISTICS
from muscope.spec import ModelSpec, RunSpec
from muscope.vocabulary import Statistic, TensorKind

BYTES_PER_FLOAT = 4
BYTES_PER_TOKEN = 8
CPU_STACK_BYTES, WORTH_A_THREAD = 128 * 2**20, 2 * 2**20
"""Weights and activations of all stacks at once on a CPU: more run slower, as measured on 2 cores;
and of one from which it is faster on a thread of its own."""

ALLOCATOR = 1.2
"""What a process takes over what is alive: holes between blocks (benchmarks/memory.py)."""
UNIT_SCALED, FP8 = 1.5, 1.4
"""What operators with two factors, and rounded copies, keep beside the activations; measured."""

SEARCH_DIRECTIONS = 4
"""Searched at once: a random matrix has many singular values close to its largest."""
SEARCH_ROUNDS: Mapping[TensorKind, int] = {TensorKind.WEIGHT: 2, TensorKind.UPDATE: 1}
"""Of a search from where that of the step before ended; each is two products, and so is the start
(facts 6 asks for ten power iterations). A weight keeps singular values that are close together."""
FAR_ROUNDS = 4
"""The same where the last recorded step was longer ago, and of updates that are orthogonal."""


class Cost(NamedTuple):
    """What one model of a shape takes, per example where that matters."""

    parameters: int
    forward_flops: int
    recorded: int
    unrecorded: int
    inputs: int
    activations: int
    weights: int
    state: int
    update_flops: float
    largest_activation: int
    at_hand: int


def cost(run: RunSpec) -> Cost:
    """The cost of any depth from depths 1 and 2, because every block costs the same."""
    model = run.model.model_dump_json()
    optimizer = run.variant.optimizer.model_dump_json(exclude={"learning_rate"})
    first, second = (_cost_at(model, optimizer, run.width, depth) for depth in (1, 2))
    more = run.depth - 1
    return Cost._make(one + more * (two - one) for one, two in zip(first, second, strict=True))


@lru_cache(maxsize=1024)
def _cost_at(model_json: str, optimizer_json: str, width: int, depth: int) -> Cost:
    model, optimizer = ModelSpec.model_validate_json(model_json), json.loads(optimizer_json)
    described, options = catalogue.MODELS[model.name], dict(model.options)
    weight_entries = described.weights(width, depth, options)
    activation_entries = described.activations(width, depth, options)
    updates = [
        update_cost(optimizer["name"], weight.role, weight.shape, optimizer["options"])
        for weight in weight_entries
    ]
    return Cost(
        parameters=sum(weight.parameters for weight in weight_entries),
        forward_flops=sum(entry.flops_per_example for entry in weight_entries)
        + sum(entry.flops_per_example for entry in activation_entries),
        recorded=sum(entry.elements_per_example for entry in activation_entries),
        unrecorded=sum(entry.unrecorded_elements for entry in activation_entries),
        inputs=sum(_input_elements(weight) for weight in weight_entries),
        activations=len(activation_entries),
        weights=len(weight_entries),
        state=sum(update.state for update in updates),
        update_flops=sum(update.flops for update in updates),
        largest_activation=max(
            entry.elements_per_example + entry.unrecorded_elements for entry in activation_entries
        ),
        at_hand=max(update.at_hand for update in updates),
    )


def _input_elements(weight: catalogue.WeightEntry) -> int:
    """What one example hands to a weight: fan_in numbers for each use, or an image once."""
    elements = weight.fan_in * weight.flops_per_example // (2 * weight.parameters)
    return elements * weight.stride**2 // weight.kernel**2


def rows(run: RunSpec, until: int | None = None) -> dict[TensorKind, int]:
    """Rows of every kind, up to a step if it ended there; there is no update at step 0."""
    last = run.steps if until is None else until
    of, steps = cost(run), sum(step <= last for step in run.recorded_steps)
    per_kind = {
        TensorKind.ACTIVATION: of.activations * steps,
        TensorKind.WEIGHT: of.weights * steps,
        TensorKind.GRADIENT: of.weights * steps,
        TensorKind.UPDATE: of.weights * (steps - 1),
    }
    return {kind: per_kind[kind] for kind in STATISTICS[run.record]}


def numbers(run: RunSpec) -> dict[TensorKind, int]:
    """The statistics of all these rows."""
    of = STATISTICS[run.record]
    return {kind: len(of[kind]) * count for kind, count in rows(run).items()}


def elements_read(run: RunSpec) -> int:
    """How many elements of tensors a run measures the sizes of, over all recorded steps."""
    of, kinds = cost(run), STATISTICS[run.record]
    activations = of.recorded * run.model.batch_size if TensorKind.ACTIVATION in kinds else 0
    weights = of.parameters * sum(kind is not TensorKind.ACTIVATION for kind in kinds)
    return len(run.recorded_steps) * (activations + weights)


def flops(run: RunSpec) -> float:
    """Forward and backward are three forwards, the last step is one; then updates and recording."""
    forward = float(cost(run).forward_flops) * run.model.batch_size
    gradients = run.steps + estimates_of_curvature(run)
    updates = run.steps * cost(run).update_flops
    return forward * (3 * gradients + 1) + updates + _recording_flops(run, forward)


def estimates_of_curvature(run: RunSpec) -> int:
    """How often a run takes a gradient more, for an optimizer that asks for curvature."""
    optimizer = run.variant.optimizer
    return curvature_estimates(optimizer.name, run.steps, dict(optimizer.options))


def _recording_flops(run: RunSpec, forward: float) -> float:
    """Gradients at the last step; contribution and alignment; searches of weights and updates."""
    kinds = STATISTICS[run.record]
    extra = 2 * forward if TensorKind.GRADIENT in kinds else 0.0
    if Statistic.CONTRIBUTION in kinds.get(TensorKind.WEIGHT, ()):
        follow = followers(run)
        rounds = follow * sum(SEARCH_ROUNDS.values())
        rounds += (len(run.recorded_steps) - follow) * len(SEARCH_ROUNDS) * FAR_ROUNDS
        searches = rounds + len(run.recorded_steps) * len(SEARCH_ROUNDS)
        products = 2 * searches * SEARCH_DIRECTIONS  # W x and its transpose
        extra += products * 2 * float(cost(run).parameters)
        extra += len(run.recorded_steps) * 3 * forward
    return extra


def followers(run: RunSpec) -> int:
    """How many recorded steps follow one that is recorded too."""
    recorded = frozenset(run.recorded_steps)
    return sum(step - 1 in recorded for step in recorded)


def memory_bytes(run: RunSpec) -> int:
    """The most that is alive at once, and what the allocator cannot use again.

    All the time there are weights, the optimizer's state and the activations of step 0, and where
    weights are recorded W_0, W_{t-1} and the first gradient; with contributions the first inputs.
    A backward holds the activations of now beside them, an update all gradients and what the update
    of its largest weight has at hand; the one has gone when the other comes.
    """
    of, kinds = cost(run), STATISTICS[run.record]
    examples = run.model.batch_size * _copies(run)
    inputs = of.inputs if Statistic.CONTRIBUTION in kinds.get(TensorKind.WEIGHT, ()) else 0
    copies = 4 if TensorKind.WEIGHT in kinds else 1
    kept = copies * of.parameters + of.state + (of.recorded + inputs) * examples
    backward = (of.recorded + of.unrecorded + of.largest_activation + inputs) * examples
    update = of.parameters + of.at_hand
    return round(BYTES_PER_FLOAT * ALLOCATOR * (kept + max(backward, update)))


def stack_size(run: RunSpec, members: int, threads: int) -> int:
    """How many of so many members a CPU steps together: what stays fast there.

    As many stacks stand side by side as there are threads, or a multiple; of small members one.
    """
    of = cost(run)
    each = BYTES_PER_FLOAT * (of.parameters + of.recorded * run.model.batch_size)
    if members * each < threads * WORTH_A_THREAD:
        threads = 1
    most = math.ceil(CPU_STACK_BYTES / (threads * each))
    rounds = math.ceil(members / (threads * most))
    return math.ceil(members / (threads * rounds))


def _copies(run: RunSpec) -> float:
    entry = catalogue.PARAMETRIZATION_ENTRIES[run.variant.parametrization.name]
    rounded = run.variant.model.options.get("precision") == "fp8"
    return (UNIT_SCALED if entry.operators == "unit_scaled" else 1.0) * (FP8 if rounded else 1.0)


def batch_bytes(run: RunSpec, members: int) -> int:
    """The data of a bundle, beside its runs: a batch while it is cut is there twice.

    Of fresh batches each member has its own; those of the last step, the new ones, and the new
    ones stacked are there at once.
    """
    model = run.model
    entry, options = catalogue.MODELS[model.name], dict(model.options)
    data = datasets.chosen(entry.dataset, options)
    tokens = 2 * BYTES_PER_TOKEN * int(options.get("sequence_length", 0))  # and their targets
    example = BYTES_PER_FLOAT * data.inputs if data.shape else tokens
    copies = 3 * members if run.batches == "fresh" else 2
    return copies * example * model.batch_size
