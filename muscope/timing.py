"""How long a bundle takes on a machine: its work by arithmetic, over speeds that were measured.

A machine is a few numbers (muscope/lab/calibration.py measures them, workers keep them). The work
is counted from the catalogue, in the parts of `Parts`; each part is seconds if the machine did
nothing else, and FACTORS say what of that is real. They are fitted by `benchmarks/estimate.py`.
"""

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

from muscope import costs
from muscope.catalogue import WeightEntry, WeightKind
from muscope.catalogue.optimizer_costs import EIGENVECTORS, QR, update_cost
from muscope.costs import BYTES_PER_FLOAT, FAR_ROUNDS, SEARCH_DIRECTIONS, SEARCH_ROUNDS
from muscope.machine import Curve, Machine, at
from muscope.plan import Plan, activations, weights
from muscope.recording import STATISTICS
from muscope.spec import RunSpec
from muscope.vocabulary import Statistic, TensorKind


@dataclass(frozen=True, slots=True)
class Parts:
    """Seconds of each kind of work of a bundle, before the factors."""

    products: float = 0.0
    decompositions: float = 0.0
    elements: float = 0.0
    updates: float = 0.0
    statistics: float = 0.0
    searches: float = 0.0
    operations: float = 0.0
    building: float = 0.0

    def __add__(self, other: "Parts") -> "Parts":
        """Work done one after the other."""
        return Parts(*map(operator.add, _values(self), _values(other)))

    def times(self, factor: float) -> "Parts":
        """The same work so many times."""
        return Parts(*(factor * seconds for seconds in _values(self)))


_values: Callable[[Parts], tuple[float, ...]] = operator.attrgetter(
    *(part.name for part in fields(Parts))
)


FACTORS = Parts(
    products=1.0,
    decompositions=0.9,
    elements=2.1,
    updates=2.5,
    statistics=1.5,
    searches=2.0,
    operations=1.25,
    building=1.5,
)
"""What of each part is real: from `python -m benchmarks.estimate --fit`, on 2 cores of AMD EPYC.

Elementwise work takes more than the same traffic of plain sums, which is what is measured: roots,
exponentials and reductions compute, and tensors of other layers have filled the cache meanwhile.
"""

FORWARD_OPERATIONS, BACKWARD_OPERATIONS = 8, 14
"""For each activation that is recorded; counted with torch's profiler on four models."""
READING_OPERATIONS = 5.5
"""For each statistic of a tensor; counted in the same way, and so are those below."""
SEARCH_OPERATIONS = 10
"""For each iteration of a power iteration."""
CONTRIBUTION_OPERATIONS = 60
"""For each weight, alignments included."""
UPDATE_OPERATIONS, OPERATIONS_PER_COPY = 3, 5
"""For each weight, and for each number that its optimizer keeps of it."""
MATRIX_OPERATIONS = {"muon": 50, "muon_match_rms": 50, "shampoo": 40, "soap": 25}
"""More for each hidden matrix."""
BUILDING_OPERATIONS = 12
"""For each weight of each member: its rule, its draws, its place in the stack."""

PASSES_OF_FORWARD, PASSES_OF_BACKWARD = 2, 3
"""How often a kept activation is read or written: made and used; used, its gradient in and out."""
PASSES_OF_UPDATE, PASSES_PER_COPY = 8, 7
"""The same of a weight in an update; AdamW with its two moments makes 22."""
PASSES_OF_DRAWS = 6
"""Scaled, shifted, stacked, and the optimizer's zeros."""
PASSES: dict[Statistic, int] = {
    Statistic.L1: 3,
    Statistic.RMS: 1,
    Statistic.MEAN: 1,
    Statistic.MAX_ABS: 3,
    Statistic.CHANGE: 6,
    Statistic.UNDERFLOW: 5,
    Statistic.OVERFLOW: 5,
    Statistic.CONTRIBUTION: 6,
    Statistic.ALIGN_W: 3,
    Statistic.ALIGN_X: 6,
    Statistic.ALIGN_WX: 3,
}
"""How often a statistic reads or writes its tensor."""


def seconds(run: RunSpec, members: int, machine: Machine) -> float:
    """What that many runs of a shape take as one bundle, from the first weight to the last step."""
    found = parts(run, members, machine)
    named: dict[str, float] = {
        part.name: getattr(found, part.name) * getattr(FACTORS, part.name) for part in fields(Parts)
    }
    if not machine.is_gpu:
        return math.fsum(named.values())
    # A GPU computes while the host sends: the slower of both decides. Weights come from the host.
    sent, built = named.pop("operations"), named.pop("building")
    return max(sent, math.fsum(named.values())) + built


def bundle_seconds(planned: Plan, machine: Machine) -> tuple[float, ...]:
    """Bundle by bundle."""
    return tuple(seconds(b.runs[0], len(b.runs), machine) for b in planned.bundles)


def study_seconds(planned: Plan, machines: Sequence[Machine]) -> float:
    """A whole study on the workers that are there: they share bundles, and none shares its own."""
    alone = [bundle_seconds(planned, machine) for machine in machines]
    per_second = math.fsum(1.0 / math.fsum(times) for times in alone)
    longest: float = max(min(times) for times in zip(*alone, strict=True))
    return max(1.0 / per_second, longest)


def parts(run: RunSpec, members: int, machine: Machine) -> Parts:
    """The work of a bundle: of any depth from depths 1 and 2, as every block costs the same."""
    stacks = 1
    if not machine.is_gpu:
        # those side by side take the time of one
        stacks = math.ceil(
            members / costs.stack_size(run, members, machine.threads) / machine.threads
        )
    # what differs within a shape takes no time, so that a grid is counted once for each shape
    shape = run.model_copy(update={"seed": 0, "base_width": run.width, "base_depth": 1})
    first, second = (
        _parts_at(
            shape.model_copy(update={"depth": depth}).model_dump_json(), members, stacks, machine
        )
        for depth in (1, 2)
    )
    if run.depth == 1:
        return first
    return first + (second + first.times(-1.0)).times(run.depth - 1)


@lru_cache(maxsize=4096)
def _parts_at(run_json: str, members: int, stacks: int, machine: Machine) -> Parts:
    run = RunSpec.model_validate_json(run_json)
    work = _Work(run, members, stacks, machine)
    steps, recorded = run.steps, len(run.recorded_steps)
    gradients = steps + costs.estimates_of_curvature(run)
    found = work.forward().times(gradients + 1 + run.held_out) + work.backward().times(gradients)
    found += work.updates().times(steps) + work.recording().times(recorded) + work.building()
    return found


class _Work:
    """What the pieces of a bundle take; elements and operations are of all its stacks together."""

    def __init__(self, run: RunSpec, members: int, stacks: int, machine: Machine) -> None:
        self._run, self._members, self._stacks, self._machine = run, members, stacks, machine
        self._batch = run.model.batch_size
        self._options = dict(run.model.options)
        self._weights, self._activations = weights(run), activations(run)
        self._kinds = STATISTICS[run.record]

    def forward(self) -> Parts:
        """One forward of all members."""
        return self._pass(1, PASSES_OF_FORWARD, FORWARD_OPERATIONS)

    def backward(self) -> Parts:
        """One backward: two products where the forward has one."""
        return self._pass(2, PASSES_OF_BACKWARD, BACKWARD_OPERATIONS)

    def _pass(self, products: int, passes: int, operations: int) -> Parts:
        kept = [e.elements_per_example + e.unrecorded_elements for e in self._activations]
        return Parts(
            products=products * self._products(),
            elements=sum(self._traffic(self._batch * elements, passes) for elements in kept),
            operations=self._operations(operations * len(self._activations)),
        )

    def _products(self) -> float:
        """Every weight applied once, and attention's own products."""
        curve = self._machine.products_in(precision(self._run))
        length = int(self._options.get("sequence_length", 1))
        head = min(int(self._options.get("head_size", 1)), self._run.width)
        size = math.cbrt(length * length * head)  # of one head
        of_activations = sum(entry.flops_per_example for entry in self._activations)
        of_attention = self._members * self._batch * of_activations / at(curve, size)
        return self._products_of_weights(curve) + of_attention

    def _products_of_weights(self, curve: Curve) -> float:
        each = (float(weight.flops_per_example * self._batch) for weight in self._weights)
        return sum(self._members * flops / at(curve, math.cbrt(flops / 2)) for flops in each)

    def _effects(self) -> float:
        """Contributions in float32; alignments in bfloat16, if that is faster."""
        precise, rounded = (
            self._products_of_weights(curve)
            for curve in (self._machine.products, self._machine.products_bfloat16)
        )
        return precise + 2 * min(precise, rounded)

    def updates(self) -> Parts:
        """One update of every weight."""
        found = Parts()
        for weight in self._weights:
            found += self._update(weight)
        return found

    def _update(self, weight: WeightEntry) -> Parts:
        optimizer = self._run.variant.optimizer
        cost = update_cost(optimizer.name, weight.role, weight.shape, dict(optimizer.options))
        copies = min(2.0, cost.state / weight.parameters)
        is_matrix = cost.flops > 0
        few, many = sorted(weight.shape)
        nominal = list(self._decompositions(weight)) if is_matrix else []
        rest = self._members * (cost.flops - sum(flops for flops, _ in nominal))
        more = MATRIX_OPERATIONS.get(optimizer.name, 0) if is_matrix else 0
        return Parts(
            products=max(rest, 0.0) / at(self._machine.products, math.cbrt(few * few * many)),
            decompositions=self._members * sum(found for _, found in nominal),
            updates=self._traffic(weight.parameters, PASSES_OF_UPDATE + PASSES_PER_COPY * copies),
            operations=self._operations(UPDATE_OPERATIONS + OPERATIONS_PER_COPY * copies + more),
        )

    def _decompositions(self, weight: WeightEntry) -> Iterator[tuple[float, float]]:
        """Nominal operations and seconds of those of one member's weight, per update."""
        optimizer = self._run.variant.optimizer
        for size in weight.shape:
            if optimizer.name == "shampoo":
                flops = EIGENVECTORS * size**3
                yield flops, flops / at(self._machine.eigenvectors, size)
            elif optimizer.name == "soap":
                # a power iteration with QR now and then; eigenvectors once, at the first update
                flops = QR * size**3 / int(optimizer.options.get("precondition_frequency", 10))
                once = EIGENVECTORS * size**3 / at(self._machine.eigenvectors, size)
                yield flops, flops / at(self._machine.qr, size) + once / self._run.steps

    def recording(self) -> Parts:
        """The statistics of one recorded step."""
        found = Parts()
        for kind, statistics in self._kinds.items():
            passes = sum(PASSES.get(name, 0) for name in statistics)
            operations = READING_OPERATIONS * sum(name in PASSES for name in statistics)
            sizes = self._sizes(kind)
            found += Parts(
                statistics=sum(self._traffic(elements, passes) for elements in sizes),
                operations=self._operations(operations * len(sizes)),
            )
            if Statistic.SPECTRAL in statistics:
                found += self._searches(kind)
            if Statistic.CONTRIBUTION in statistics:
                operations = CONTRIBUTION_OPERATIONS * len(self._weights)
                found += Parts(products=self._effects(), operations=self._operations(operations))
        return found

    def _sizes(self, kind: TensorKind) -> list[int]:
        """Elements of one member's tensors of a kind."""
        if kind is TensorKind.ACTIVATION:
            return [self._batch * entry.elements_per_example for entry in self._activations]
        return [weight.parameters for weight in self._weights]

    def _searches(self, kind: TensorKind) -> Parts:
        """Those of every matrix of one kind: it is read twice in each round, and at the start."""
        vectors = (WeightKind.TABLE, WeightKind.BIAS, WeightKind.GAIN)
        matrices = [weight for weight in self._weights if weight.kind not in vectors]
        follow = costs.followers(self._run) / len(self._run.recorded_steps)
        rounds = follow * SEARCH_ROUNDS[kind] + (1 - follow) * FAR_ROUNDS
        found = Parts()
        for weight in matrices:
            thin = QR * SEARCH_DIRECTIONS**2 * max(weight.shape)
            decomposed = rounds * self._members * thin
            found += Parts(
                searches=self._traffic(weight.parameters, 2 * (rounds + 1))
                + decomposed / at(self._machine.qr, SEARCH_DIRECTIONS),
                operations=self._operations(SEARCH_OPERATIONS * (rounds + 1)),
            )
        return found

    def building(self) -> Parts:
        """The first weights, drawn on the host member by member."""
        drawn = self._members * sum(weight.parameters for weight in self._weights)
        operations = BUILDING_OPERATIONS * self._members * len(self._weights)
        copied = sum(self._traffic(w.parameters, PASSES_OF_DRAWS) for w in self._weights)
        return Parts(
            building=drawn / self._machine.draws + copied + operations * self._machine.operation_s
        )

    def _traffic(self, elements: int, passes: float) -> float:
        """Seconds of so many passes over one tensor of every member."""
        size = BYTES_PER_FLOAT * elements * self._members
        return passes * size / at(self._machine.traffic, size / self._stacks)

    def _operations(self, count: float) -> float:
        """Seconds of so many operations of each stack."""
        return self._stacks * count * self._machine.operation_s


def precision(run: RunSpec) -> str:
    """What a run's products with weights are computed in."""
    return str(run.variant.model.options.get("precision", "float32"))
