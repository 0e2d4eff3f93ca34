"""The samples of a recorded study, judged as those of a user's own model are (verdicts.own).

A recording goes on for as long as its owner likes, so not all of its steps are judged: those that
every width has, and of many the first ones and then ever sparser ones.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from muscope.catalogue import OPTIMIZERS
from muscope.catalogue.rules import Choice
from muscope.own_model.tensors import ALIGN_SLOWLY, Face, OwnTensor
from muscope.recorded import RecordedSpec, RecordedTensor, RecordedVariant
from muscope.recording import STATISTICS
from muscope.records import Sample
from muscope.verdicts.own import OwnGrid, OwnVariant, judge_own
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import TensorKind

MOST_CELLS = 20_000
"""Slopes of one study: what judging, the verdict page and its tables can carry."""
DENSE = 8


def judge(
    spec: RecordedSpec,
    tensors: Sequence[RecordedTensor],
    samples: Iterable[Sample],
    *,
    runs_judged: Mapping[str, int],
    final: bool,
) -> tuple[VariantVerdict, ...]:
    """Judge every variant, in the order of the spec, on the activations there are."""
    by_variant: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.kind is TensorKind.ACTIVATION:
            by_variant[sample.variant].append(sample)
    names = {tensor.name for tensor in tensors}
    statistics = len(STATISTICS["activations"][TensorKind.ACTIVATION])
    cells = len(spec.variants) * len(spec.depths) * max(len(names), 1) * statistics
    most = max(2, MOST_CELLS // cells)
    own = {depth: _own_tensors(tensors) for depth in spec.depths}
    verdicts = []
    for variant in spec.variants:
        found = _judgeable(by_variant[variant.key], most)
        verdict = judge_own(
            own_variant(variant),
            _grid(found, variant.planned_runs),
            own,
            found,
            runs_judged=runs_judged.get(variant.key, 0),
            final=final,
        )
        verdicts.append(verdict)
    return tuple(verdicts)


def own_variant(variant: RecordedVariant) -> OwnVariant:
    """What theory is asked about a recorded variant."""
    rule = variant.parametrization
    return OwnVariant(
        key=variant.key,
        label=variant.label,
        # a later version may not know an optimizer any more, or not without its plugin
        optimizers={
            role: name if name in OPTIMIZERS else None for role, name in variant.optimizers.items()
        },
        choice=None if rule is None else Choice(rule.name, rule.options),
        is_unit_scaled=variant.is_unit_scaled,
        heads_grow=variant.heads_grow,
        zero_readout=variant.zero_readout,
        tied=variant.tied,
        readout=variant.readout,
    )


def judged_steps(samples: Iterable[Sample], most: int) -> tuple[int, ...]:
    """The steps that every width has; of more than `most` first all, then ever sparser ones.

    The first 8 are there, or half of `most`, and the last one always is.
    """
    by_width: defaultdict[int, set[int]] = defaultdict(set)
    for sample in samples:
        by_width[sample.width].add(sample.step)
    common = sorted(set.intersection(*by_width.values())) if by_width else []
    if len(common) <= most:
        return tuple(common)
    dense = min(DENSE, most // 2)
    kept = set(range(dense))
    left, last = most - dense, len(common) - 1
    ratio = (last / max(dense, 1)) ** (1 / left)
    kept |= {round(max(dense, 1) * ratio**number) for number in range(1, left + 1)}
    return tuple(common[place] for place in sorted(kept | {last}))


def _judgeable(samples: Sequence[Sample], most: int) -> list[Sample]:
    """Those at the steps that are judged; the seeds, which may be any numbers, are counted."""
    steps = set(judged_steps(samples, most))
    places = {seed: place for place, seed in enumerate(sorted({s.seed for s in samples}))}
    return [replace(s, seed=places[s.seed]) for s in samples if s.step in steps]


def _grid(samples: Sequence[Sample], planned: int) -> OwnGrid:
    widths = tuple(sorted({sample.width for sample in samples}))
    seeds = max((sample.seed + 1 for sample in samples), default=1)
    return OwnGrid(widths=widths, seeds=seeds, planned_runs=planned)


def _own_tensors(tensors: Sequence[RecordedTensor]) -> list[OwnTensor]:
    return [
        OwnTensor(
            name=tensor.name,
            met=tensor.name,
            face=Face.MODULE,
            role=tensor.role,
            source="",
            shapes={},
            is_judged=tensor.is_judged,
            aligns_slowly=tensor.role in ALIGN_SLOWLY,
        )
        for tensor in tensors
    ]
