"""What one step of a stack is measured by: sizes of four kinds, and what updates do.

Everything is reduced on the device to columns (members,); nothing crosses to the host here.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields

import torch
from torch import Tensor

from muscope.catalogue import WeightEntry, WeightKind
from muscope.catalogue.statistics import STATISTICS as STATISTICS_OF_PLUGINS
from muscope.lab import precision, probes
from muscope.lab.effects import Effects, Moved
from muscope.lab.members import Chosen, of_tensors
from muscope.lab.probes import Reading
from muscope.lab.spectra import Matrix, Spectra
from muscope.recording import SINCE_START, STATISTICS, Record
from muscope.vocabulary import Statistic, TensorKind

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
    """Compares every step with the first one and with the one before it.

    `leveled` names weights whose updates have nearly equal singular values, as Muon's: the largest
    is then searched longer.
    """

    def __init__(
        self,
        record: Record,
        entries: Mapping[str, WeightEntry],
        multipliers: Mapping[str, Tensor],
        plugged: Sequence[str] = (),
        leveled: Collection[str] = (),
    ) -> None:
        self._plugged, self._leveled = tuple(plugged), frozenset(leveled)
        self._record = record
        self._entries, self._multipliers = entries, multipliers
        self._effects = Effects(entries)
        self._spectra = Spectra()
        self._first: Seen | None = None
        self._is_at_start = True
        self._before: Tensors = {}
        self._updates: dict[str, probes.Sizes] = {}
        self._whole_updates: dict[str, Tensor] = {}
        self._follows = True

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
        found = self._alike(multipliers)
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
        found = self._alike(multipliers)
        found._is_at_start = False
        found._before = _under("before/", kept)
        found._spectra = Spectra.resumed(_under("directions/", kept))
        first = {part.name: _under(f"first/{part.name}/", kept) for part in fields(Seen)}
        found._first = Seen(**first) if any(first.values()) else None
        return found

    def _alike(self, multipliers: Mapping[str, Tensor]) -> "Observer":
        """One of the same weights that has seen nothing."""
        return Observer(self._record, self._entries, multipliers, self._plugged, self._leveled)

    def observe(self, seen: Seen, *, follows: bool = True) -> tuple[Reading, ...]:
        """The statistics of a step, in the order of `plan.tensors`.

        `follows` says whether the step before was observed too: searches are shorter then.
        """
        self._follows = follows
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
        self._effects.forget_inputs()
        self._updates, self._whole_updates = {}, {}
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
        found: dict[str, dict[Statistic, Tensor]] = {}
        effects: dict[str, dict[Statistic, Tensor]] = {}
        for name, values in now.weights.items():
            if has_effects:
                found[name], effects[name] = self._with_effects(name, now, first, wanted)
            else:
                found[name] = probes.sizes(values, first.weights[name], wanted)
        lost = _lost(kind, now.weights, wanted, found)
        spectral = self._spectral(kind, now.weights, found, wanted)
        for name, of in found.items():
            others = lost[name] | spectral.get(name, {}) | effects.get(name, {})
            yield probes.reading(kind, name, of | others)

    def _with_effects(
        self, name: str, now: Seen, first: Seen, wanted: tuple[Statistic, ...]
    ) -> tuple[dict[Statistic, Tensor], dict[Statistic, Tensor]]:
        """The sizes of a weight, and what its way since the start does; its update on the way."""
        # How far it moved holds its change.
        of_weight = tuple(one for one in wanted if one is not Statistic.CHANGE)
        of_update = STATISTICS[self._record].get(TensorKind.UPDATE, ())
        weight, start = now.weights[name], first.weights[name]
        if name in self._before:
            read = probes.sized_with_moves(
                weight, (start, self._before[name]), (of_weight, of_update)
            )
            self._updates[name], self._whole_updates[name] = read.update_sizes, read.update
            found, moved = read.sizes.by_name(), Moved(start, read.moved, read.moved_sizes)
        else:
            found, values = probes.sizes(weight, start, of_weight), weight - start
            moved = Moved(start, values, probes.sizes_of(values))
        inputs = (first.inputs[name], now.inputs[name]) if name in now.inputs else None
        effects = self._effects.of(name, moved, inputs, alignments=Statistic.ALIGN_W in wanted)
        if Statistic.CONTRIBUTION in effects:
            size = self._effective(name, effects[Statistic.CONTRIBUTION])
            effects[Statistic.CONTRIBUTION] = size
        return found, {Statistic.CHANGE: moved.sizes[Statistic.L1]} | effects

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
        updates = {
            name: self._whole_updates[name]
            if name in self._whole_updates
            else now.weights[name] - before
            for name, before in self._before.items()
        }
        sizes = {
            name: self._updates[name].by_name()
            if name in self._updates
            else probes.sizes(update, update, wanted)
            for name, update in updates.items()
        }
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
        leveled = self._leveled if kind is TensorKind.UPDATE else ()
        far = leveled if self._follows else tensors.keys()
        return {
            name: of | {Statistic.SPECTRAL: self._effective(name, of[Statistic.SPECTRAL])}
            for name, of in self._spectra.statistics(kind, matrices, far).items()
        }

    def _effective(self, name: str, size: Tensor) -> Tensor:
        """The size of A W from that of W; what is 1 for every member has no multiplier."""
        return size * self._multipliers[name].abs() if name in self._multipliers else size


def _under(path: str, kept: Tensors) -> dict[str, Tensor]:
    return {name.removeprefix(path): of for name, of in kept.items() if name.startswith(path)}


def _of_sizes(
    kind: TensorKind, now: Tensors, first: Tensors, wanted: tuple[Statistic, ...]
) -> Iterator[Reading]:
    found = {name: probes.sized(values, first[name], wanted) for name, values in now.items()}
    if Statistic.UNDERFLOW not in wanted:
        yield from (of.reading(kind, name) for name, of in found.items())
        return
    sizes = {name: of.by_name() for name, of in found.items()}
    lost = _lost(kind, now, wanted, sizes)
    for name, of in sizes.items():
        yield probes.reading(kind, name, of | lost[name])


def _lost(
    kind: TensorKind,
    tensors: Tensors,
    wanted: tuple[Statistic, ...],
    found: Mapping[str, Mapping[Statistic, Tensor]],
) -> dict[str, dict[Statistic, Tensor]]:
    """The fractions that a format loses; nan where a number is, as all else that is found there."""
    if Statistic.UNDERFLOW not in wanted or not tensors:
        return {name: {} for name in tensors}
    largest = torch.stack([found[name][Statistic.MAX_ABS] for name in tensors])
    fractions = {
        statistic: torch.where(largest.isnan(), math.nan, of)
        for statistic, of in precision.lost(kind, list(tensors.values()), largest).items()
    }
    return {
        name: {statistic: of[place] for statistic, of in fractions.items()}
        for place, name in enumerate(tensors)
    }
