"""What one step of a stack is measured by: sizes of four kinds, and what updates do.

Everything is reduced on the device to columns (members,); nothing crosses to the host here.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial

import torch
from torch import Tensor
from torch.func import vmap

from muscope.catalogue import WeightEntry, WeightKind
from muscope.catalogue.statistics import STATISTICS as STATISTICS_OF_PLUGINS
from muscope.lab import precision, probes
from muscope.lab.members import Chosen, of_tensors
from muscope.lab.models.operators import product
from muscope.lab.probes import Reading
from muscope.lab.spectra import Matrix, Spectra
from muscope.recording import SINCE_START, STATISTICS, Record
from muscope.vocabulary import Role, Statistic, TensorKind

POSITIONS = "embedding.position"
"""The table of a transformer that learns its positions."""

Tensors = Mapping[str, Tensor]
"""By name; the leading dimension of each tensor counts the members."""

_SPECTRAL = frozenset((Statistic.SPECTRAL, Statistic.STABLE_RANK))
_SCALES = (Statistic.MAX_ABS, Statistic.RMS)
"""What the search for spectral norms needs to know of a matrix."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What a forward at one step left: gradients and inputs are empty when they are not asked."""

    activations: Tensors
    weights: Tensors = field(default_factory=dict)
    gradients: Tensors = field(default_factory=dict)
    inputs: Tensors = field(default_factory=dict)


class Observer:
    """Compares every step with the first one and with the one before it."""

    def __init__(
        self,
        record: Record,
        entries: Mapping[str, WeightEntry],
        multipliers: Mapping[str, Tensor],
        plugged: Sequence[str] = (),
    ) -> None:
        self._plugged = tuple(plugged)
        self._record = record
        self._entries, self._multipliers = entries, multipliers
        self._contributing_vectors = _contributing_vectors(entries)
        self._spectra = Spectra()
        self._first: Seen | None = None
        self._is_at_start = True
        self._before: Tensors = {}
        self._updates: dict[str, probes.Sizes] = {}
        self._drifted: _Drift | None = None
        self._first_rms: dict[str, Tensor] = {}

    @property
    def needs_gradients(self) -> bool:
        """Whether every recorded step has to compute them, the last too."""
        return TensorKind.GRADIENT in STATISTICS[self._record]

    @property
    def needs_inputs(self) -> bool:
        """Whether the input of every weight has to be kept."""
        wanted = STATISTICS[self._record].get(TensorKind.WEIGHT, ())
        return Statistic.CONTRIBUTION in wanted

    def before_update(self, weights: Tensors) -> None:
        """Remember what an update starts from whose result is observed; it makes new tensors."""
        self._is_at_start = False
        self._before = dict(weights) if TensorKind.UPDATE in STATISTICS[self._record] else {}

    def select(self, chosen: Chosen) -> "Observer":
        """An observer of these members, which has seen of them what this one has."""
        multipliers = of_tensors(self._multipliers, chosen)
        found = Observer(self._record, self._entries, multipliers, self._plugged)
        found._is_at_start = self._is_at_start
        found._before = of_tensors(self._before, chosen)
        found._spectra = self._spectra.select(chosen)
        if self._first is not None:
            parts = (getattr(self._first, part.name) for part in fields(Seen))
            found._first = Seen(*(of_tensors(part, chosen) for part in parts))
        return found

    def kept(self) -> dict[str, Tensor]:
        """What later steps are measured by, each under a path: all that `resumed` needs."""
        found = {f"before/{name}": of for name, of in self._before.items()}
        found |= {f"directions/{path}": of for path, of in self._spectra.kept().items()}
        for part in fields(Seen) if self._first is not None else ():
            tensors = getattr(self._first, part.name)
            found |= {f"first/{part.name}/{name}": of for name, of in tensors.items()}
        return found

    def resumed(self, multipliers: Mapping[str, Tensor], kept: Tensors) -> "Observer":
        """An observer of the same weights, after an update, that has seen what another kept."""
        found = Observer(self._record, self._entries, multipliers, self._plugged)
        found._is_at_start = False
        found._before = _under("before/", kept)
        found._spectra = Spectra.resumed(_under("directions/", kept))
        first = {part.name: _under(f"first/{part.name}/", kept) for part in fields(Seen)}
        found._first = Seen(**first) if any(first.values()) else None
        return found

    def observe(self, seen: Seen) -> tuple[Reading, ...]:
        """The statistics of a step, in the order of `plan.tensors`."""
        left_out = SINCE_START if self._is_at_start else ()
        first = self._first or self._kept(seen)
        readings = tuple(
            reading
            for kind, statistics in STATISTICS[self._record].items()
            for reading in self._readings(
                kind, tuple(name for name in statistics if name not in left_out), seen, first
            )
        )
        readings += tuple(self._of_plugins(seen))
        self._drifted = None
        self._first = first  # a step that failed is observed again, as the first if it was
        return readings

    def _kept(self, seen: Seen) -> Seen:
        """What later steps are compared with; the rest would only take memory."""
        if TensorKind.WEIGHT not in STATISTICS[self._record]:
            return Seen(seen.activations)
        # Whose dictionaries these are may empty them.
        return Seen(*(dict(getattr(seen, part.name)) for part in fields(Seen)))

    def _readings(
        self, kind: TensorKind, wanted: tuple[Statistic, ...], now: Seen, first: Seen
    ) -> Iterator[Reading]:
        match kind:
            case TensorKind.ACTIVATION:
                yield from _of_sizes(kind, now.activations, first.activations, wanted)
            case TensorKind.WEIGHT:
                yield from self._of_weights(now, first, wanted)
            case TensorKind.GRADIENT:
                yield from _of_sizes(kind, now.gradients, first.gradients, wanted)
            case TensorKind.UPDATE:
                yield from self._of_updates(now, wanted)

    def _of_plugins(self, seen: Seen) -> Iterator[Reading]:
        """What plugins measure of the kinds that are recorded, after everything else."""
        for name in self._plugged:
            # it holds plugins to what they described
            from muscope.lab.plugged import measured

            for kind in STATISTICS_OF_PLUGINS[name].of:
                if kind in STATISTICS[self._record]:
                    for tensor, values in self._tensors(kind, seen):
                        column = measured(name, values)[:, None]
                        yield Reading(kind, tensor, (), column, plugged=(name,))

    def _tensors(self, kind: TensorKind, seen: Seen) -> Iterator[tuple[str, Tensor]]:
        match kind:
            case TensorKind.ACTIVATION:
                yield from seen.activations.items()
            case TensorKind.WEIGHT:
                yield from seen.weights.items()
            case TensorKind.GRADIENT:
                yield from seen.gradients.items()
            case TensorKind.UPDATE:
                for name, before in self._before.items():
                    yield name, seen.weights[name] - before

    def _of_weights(
        self, now: Seen, first: Seen, wanted: tuple[Statistic, ...]
    ) -> Iterator[Reading]:
        kind, has_effects = TensorKind.WEIGHT, Statistic.CONTRIBUTION in wanted
        if wanted and not has_effects and _SPECTRAL.isdisjoint(wanted):
            yield from self._of_weights_and_updates(now, first, wanted)
            return
        # What effects need, how far a weight moved, holds its change.
        of_weight = tuple(name for name in wanted if not (has_effects and name is Statistic.CHANGE))
        found: dict[str, dict[Statistic, Tensor]] = {}
        for name, values in now.weights.items():
            found[name] = probes.sizes(values, first.weights[name], of_weight)
            found[name] |= _lost(kind, values, wanted, found[name])
        spectral = self._spectral(kind, now.weights, found, wanted)
        for name in now.weights:
            effects = self._effects(name, now, first, wanted) if has_effects else {}
            yield probes.reading(kind, name, found[name] | spectral.get(name, {}) | effects)

    def _of_weights_and_updates(
        self, now: Seen, first: Seen, wanted: tuple[Statistic, ...]
    ) -> Iterator[Reading]:
        """Readings of weights; the sizes of their updates are found on the way."""
        of_update = STATISTICS[self._record].get(TensorKind.UPDATE, ())
        self._updates = {}
        for name, values in now.weights.items():
            if name in self._before:
                others = (first.weights[name], self._before[name])
                found, self._updates[name] = probes.sized_with_update(
                    values, others, (wanted, of_update)
                )
            else:
                found = probes.sized(values, first.weights[name], wanted)
            yield found.reading(TensorKind.WEIGHT, name)

    def _of_updates(self, now: Seen, wanted: tuple[Statistic, ...]) -> Iterator[Reading]:
        kind = TensorKind.UPDATE
        if _SPECTRAL.isdisjoint(wanted):
            for name, found in self._updates.items():
                yield found.reading(kind, name)
            return
        updates = {name: now.weights[name] - before for name, before in self._before.items()}
        sizes = {name: probes.sizes(update, update, wanted) for name, update in updates.items()}
        spectral = self._spectral(kind, updates, sizes, wanted)
        for name, of in sizes.items():
            yield probes.reading(kind, name, of | spectral.get(name, {}))

    def _spectral(
        self,
        kind: TensorKind,
        tensors: Tensors,
        sizes: Mapping[str, Mapping[Statistic, Tensor]],
        wanted: tuple[Statistic, ...],
    ) -> dict[str, dict[Statistic, Tensor]]:
        """Of all that are matrices or tables, by name."""
        if _SPECTRAL.isdisjoint(wanted):
            return {}
        matrices = []
        for name, values in tensors.items():
            if self._entries[name].kind not in (WeightKind.BIAS, WeightKind.GAIN):
                lacking = tuple(one for one in _SCALES if one not in sizes[name])
                known = {**sizes[name], **probes.sizes(values, values, lacking)}
                scales = (known[one] for one in _SCALES)
                matrices.append(Matrix(self._entries[name], values, *scales))
        return {
            name: of | {Statistic.SPECTRAL: self._effective(name, of[Statistic.SPECTRAL])}
            for name, of in self._spectra.statistics(kind, matrices).items()
        }

    def _effects(
        self, name: str, now: Seen, first: Seen, wanted: tuple[Statistic, ...]
    ) -> dict[Statistic, Tensor]:
        """What W_t - W_0 makes of the input at step 0, and how well factors align (facts 4, 6)."""
        entry = self._entries[name]
        moved = now.weights[name] - first.weights[name]
        size = probes.sizes(moved, moved, (Statistic.L1, Statistic.RMS))
        change = {Statistic.CHANGE: size[Statistic.L1]}
        if name in self._contributing_vectors:
            contribution = self._effective(name, size[Statistic.L1])
            return change | {Statistic.CONTRIBUTION: contribution}
        if name not in now.inputs:
            return change
        apply = vmap(partial(product, entry))
        start = _wide(first.inputs[name])
        frozen = apply(moved, start)  # (members, n, fan_out)
        sizes = probes.sizes(frozen, frozen, (Statistic.L1, Statistic.RMS))
        found = change | {Statistic.CONTRIBUTION: self._effective(name, sizes[Statistic.L1])}
        # One-hot inputs have nothing to align with.
        if Statistic.ALIGN_W not in wanted or entry.kind is WeightKind.TABLE or entry.fan_in == 1:
            return found
        drift = self._drift(start, _wide(now.inputs[name]))
        weight, of_moved = first.weights[name], size[Statistic.RMS]
        if name not in self._first_rms:
            self._first_rms[name] = probes.rms(weight)
        if _is_cheaper_by_squares(entry, drift.values):
            of_outputs = (_rms_of_product(factor, drift) for factor in (weight, moved))
        else:
            of_outputs = (probes.rms(apply(factor, drift.values)) for factor in (weight, moved))
        align = partial(_alignment, math.log(entry.fan_in))
        return found | {
            Statistic.ALIGN_W: align(sizes[Statistic.RMS], of_moved, drift.of_start),
            Statistic.ALIGN_X: align(next(of_outputs), self._first_rms[name], drift.size),
            Statistic.ALIGN_WX: align(next(of_outputs), of_moved, drift.size),
        }

    def _drift(self, start: Tensor, now: Tensor) -> "_Drift":
        """What became of an input; queries, keys and values ask one after the other for theirs."""
        at = (now.data_ptr(), now.shape, now.stride())
        if self._drifted is None or self._drifted.at != at:
            values = now - start
            self._drifted = _Drift(at, values, probes.rms(values), probes.rms(start))
        return self._drifted

    def _effective(self, name: str, size: Tensor) -> Tensor:
        """The size of A W from that of W; what is 1 for every member has no multiplier."""
        return size * self._multipliers[name].abs() if name in self._multipliers else size


def _under(path: str, kept: Tensors) -> dict[str, Tensor]:
    return {name.removeprefix(path): of for name, of in kept.items() if name.startswith(path)}


def _contributing_vectors(entries: Mapping[str, WeightEntry]) -> frozenset[str]:
    """Biases and gains, but not a bias that all keys share: softmax does not see it.

    Its gradient is rounding, of which Adam makes whole steps. Rotations tell keys apart; where
    positions are learned nothing does.
    """
    shared = POSITIONS in entries
    return frozenset(
        name
        for name, entry in entries.items()
        if entry.role is Role.VECTOR and not (shared and _is_bias_of_keys(entry))
    )


def _is_bias_of_keys(entry: WeightEntry) -> bool:
    return entry.kind is WeightKind.BIAS and entry.part == "attention.k"


@dataclass(slots=True)
class _Drift:
    """x_t - x_0 of an input that lies at an address, its RMS, and that of x_0."""

    at: tuple[object, ...]
    values: Tensor
    size: Tensor
    of_start: Tensor
    squares: Tensor | None = None


def _is_cheaper_by_squares(entry: WeightEntry, inputs: Tensor) -> bool:
    """Whether x^T x and W (x^T x) of two W take fewer operations than W x of both."""
    if entry.kind is WeightKind.CONVOLUTION:
        return False
    rows, fan_in, fan_out = inputs[0].numel() // entry.fan_in, entry.fan_in, entry.fan_out
    return fan_in * (rows + 2 * fan_out) < 2 * rows * fan_out


def _rms_of_product(weight: Tensor, drift: _Drift) -> Tensor:
    """RMS(W x) without W x: its squares add up to the trace of W (x^T x) W^T."""
    rows = drift.values.flatten(1, -2)
    if drift.squares is None:
        drift.squares = rows.mT @ rows  # (members, fan_in, fan_in)
    # The sum of both factors' products: each is of the size of the result, so float32 is enough.
    sums: Tensor = torch.linalg.vecdot((weight @ drift.squares).flatten(1), weight.flatten(1))
    return (sums.double() / (rows.shape[1] * weight.shape[1])).clamp(min=0.0).sqrt()


def _alignment(log_fan_in: float, outputs: Tensor, weight: Tensor, inputs: Tensor) -> Tensor:
    """log_{fan_in}(RMS(W x) / (RMS(W) RMS(x))): 1/2 independent, 1 aligned (facts 6).

    Not finite where a factor is exactly zero.
    """
    return (outputs / (weight * inputs)).log() / log_fan_in


def _wide(inputs: Tensor) -> Tensor:
    """Inputs of lower precision as float32, which weights are; indices as they are."""
    return inputs.float() if inputs.is_floating_point() else inputs


def _of_sizes(
    kind: TensorKind, now: Tensors, first: Tensors, wanted: tuple[Statistic, ...]
) -> Iterator[Reading]:
    for name, values in now.items():
        if Statistic.UNDERFLOW not in wanted:
            yield probes.sized(values, first[name], wanted).reading(kind, name)
            continue
        found = probes.sizes(values, first[name], wanted)
        yield probes.reading(kind, name, found | _lost(kind, values, wanted, found))


def _lost(
    kind: TensorKind,
    values: Tensor,
    wanted: tuple[Statistic, ...],
    found: Mapping[Statistic, Tensor],
) -> dict[Statistic, Tensor]:
    """The fractions that a format loses; nan where a number is, as all else that is found there."""
    if Statistic.UNDERFLOW not in wanted:
        return {}
    largest = found[Statistic.MAX_ABS]
    return {
        name: torch.where(largest.isnan(), math.nan, fraction)
        for name, fraction in precision.lost(kind, values, wanted, largest).items()
    }
