"""What one step of a stack is measured by: sizes of four kinds, and what updates do.

Everything is reduced on the device to columns (members,); nothing crosses to the host here.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor
from torch.func import vmap

from muscope.catalogue import WeightEntry, WeightKind
from muscope.lab import precision, probes
from muscope.lab.members import Chosen, of_tensors
from muscope.lab.models.operators import product
from muscope.lab.probes import Reading
from muscope.lab.spectra import Spectra
from muscope.recording import SINCE_START, STATISTICS, Record
from muscope.vocabulary import Role, Statistic, TensorKind

POSITIONS = "embedding.position"
"""The table of a transformer that learns its positions."""

Tensors = Mapping[str, Tensor]
"""By name; the leading dimension of each tensor counts the members."""

_SPECTRAL = frozenset((Statistic.SPECTRAL, Statistic.STABLE_RANK))


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
        self, record: Record, entries: Mapping[str, WeightEntry], multipliers: Mapping[str, Tensor]
    ) -> None:
        self._record = record
        self._entries, self._multipliers = entries, multipliers
        self._contributing_vectors = _contributing_vectors(entries)
        self._spectra = Spectra()
        self._first: Seen | None = None
        self._is_at_start = True
        self._before: Tensors = {}
        self._drifted: _Drift | None = None

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
        """Remember what the next update starts from; updates make new tensors."""
        self._is_at_start = False
        self._before = dict(weights) if TensorKind.UPDATE in STATISTICS[self._record] else {}

    def select(self, chosen: Chosen) -> "Observer":
        """An observer of these members, which has seen of them what this one has."""
        found = Observer(self._record, self._entries, of_tensors(self._multipliers, chosen))
        found._is_at_start = self._is_at_start
        found._before = of_tensors(self._before, chosen)
        found._spectra = self._spectra.select(chosen)
        if self._first is not None:
            parts = (getattr(self._first, part.name) for part in fields(Seen))
            found._first = Seen(*(of_tensors(part, chosen) for part in parts))
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

    def _of_weights(
        self, now: Seen, first: Seen, wanted: tuple[Statistic, ...]
    ) -> Iterator[Reading]:
        for name, values in now.weights.items():
            found = probes.sizes(values, first.weights[name], wanted)
            found |= _lost(TensorKind.WEIGHT, values, wanted, found)
            found |= self._spectral(TensorKind.WEIGHT, name, values, wanted)
            if Statistic.CONTRIBUTION in wanted:
                found |= self._effects(name, now, first, wanted)
            yield probes.reading(TensorKind.WEIGHT, name, found)

    def _of_updates(self, now: Seen, wanted: tuple[Statistic, ...]) -> Iterator[Reading]:
        for name, before in self._before.items():
            update = now.weights[name] - before
            found = probes.sizes(update, before, wanted)
            found |= self._spectral(TensorKind.UPDATE, name, update, wanted)
            yield probes.reading(TensorKind.UPDATE, name, found)

    def _spectral(
        self, kind: TensorKind, name: str, values: Tensor, wanted: tuple[Statistic, ...]
    ) -> dict[Statistic, Tensor]:
        entry = self._entries[name]
        if _SPECTRAL.isdisjoint(wanted) or entry.kind in (WeightKind.BIAS, WeightKind.GAIN):
            return {}
        found = self._spectra.statistics(kind, entry, values)
        return found | {Statistic.SPECTRAL: self._effective(name, found[Statistic.SPECTRAL])}

    def _effects(
        self, name: str, now: Seen, first: Seen, wanted: tuple[Statistic, ...]
    ) -> dict[Statistic, Tensor]:
        """What W_t - W_0 makes of the input at step 0, and how well factors align (facts 4, 6)."""
        entry = self._entries[name]
        moved = now.weights[name] - first.weights[name]
        if name in self._contributing_vectors:
            return {Statistic.CONTRIBUTION: self._effective(name, probes.mean_abs(moved))}
        if name not in now.inputs:
            return {}
        apply = vmap(partial(product, entry))
        start = _wide(first.inputs[name])
        frozen = apply(moved, start)  # (members, n, fan_out)
        sizes = probes.sizes(frozen, frozen, (Statistic.L1, Statistic.RMS))
        found = {Statistic.CONTRIBUTION: self._effective(name, sizes[Statistic.L1])}
        # One-hot inputs have nothing to align with.
        if Statistic.ALIGN_W not in wanted or entry.kind is WeightKind.TABLE or entry.fan_in == 1:
            return found
        drift = self._drift(start, _wide(now.inputs[name]))
        weight = first.weights[name]
        of_weight, of_moved = probes.rms(weight), probes.rms(moved)
        align = partial(_alignment, math.log(entry.fan_in))
        drifted = (apply(factor, drift.values) for factor in (weight, moved))
        return found | {
            Statistic.ALIGN_W: align(sizes[Statistic.RMS], of_moved, drift.of_start),
            Statistic.ALIGN_X: align(probes.rms(next(drifted)), of_weight, drift.size),
            Statistic.ALIGN_WX: align(probes.rms(next(drifted)), of_moved, drift.size),
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


class _Drift(NamedTuple):
    """x_t - x_0 of an input that lies at an address, its RMS, and that of x_0."""

    at: tuple[object, ...]
    values: Tensor
    size: Tensor
    of_start: Tensor


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
        found = probes.sizes(values, first[name], wanted)
        yield probes.reading(kind, name, found | _lost(kind, values, wanted, found))


def _lost(
    kind: TensorKind,
    values: Tensor,
    wanted: tuple[Statistic, ...],
    found: Mapping[Statistic, Tensor],
) -> dict[Statistic, Tensor]:
    """The fractions that a format loses; nan where a number is, as all else that is found there."""
    return {
        name: torch.where(found[Statistic.MAX_ABS].isnan(), math.nan, fraction)
        for name, fraction in precision.lost(kind, values, wanted).items()
    }
