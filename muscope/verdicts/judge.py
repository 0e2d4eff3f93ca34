"""Samples become verdicts: one function that badge, table, report and exit code all read.

What makes a cell's word is in `cells`, what it must be among all others in `family`; how other axes
than width come in, in `axes`. A tensor with a statistic that is zero at every step is inconclusive:
nothing moved.

With several depths, and with several batch sizes, each is judged by itself: a slope on width for
each. Slopes on depth count where theory has an exponent for them; those on the batch size and on
the step are shown.

A study that may stop early is judged look by look: the intervals are those of the look that the
seeds belong to, and a variant that is decided when all runs of a look are in has stopped.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence

from muscope.catalogue.expectations import Expectations
from muscope.catalogue.rules import Choice
from muscope.records import Sample
from muscope.spec import StudySpec, Variant
from muscope.theory import expected
from muscope.verdicts import axes, looks, power, statements, stopping
from muscope.verdicts.cells import StandardOf, cells_of, cells_on
from muscope.verdicts.diagnosis.of_study import of_variant
from muscope.verdicts.family import Family
from muscope.verdicts.grid import Grid, gather
from muscope.verdicts.joint import joint_slopes
from muscope.verdicts.types import Cell, EarlyStop, TensorVerdict, VariantVerdict
from muscope.vocabulary import Axis, CellVerdict

FROM_HARMLESS_TO_WORST = (
    CellVerdict.ZERO,
    CellVerdict.FLAT,
    CellVerdict.INCONCLUSIVE,
    CellVerdict.SHRINKS,
    CellVerdict.GROWS,
    CellVerdict.DIVERGED,
)


def judge(
    spec: StudySpec, samples: Iterable[Sample], *, runs_judged: Mapping[str, int], final: bool
) -> tuple[VariantVerdict, ...]:
    """Judge every variant of a study, in the order of the spec, on the samples there are."""
    by_variant: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        by_variant[sample.variant].append(sample)
    return tuple(
        _judge_variant(spec, variant, by_variant[variant.key], runs_judged, final=final)
        for variant in spec.variants
    )


def _judge_variant(
    spec: StudySpec,
    variant: Variant,
    samples: Sequence[Sample],
    runs_judged: Mapping[str, int],
    *,
    final: bool,
) -> VariantVerdict:
    look = looks.look(spec, max((sample.seed + 1 for sample in samples), default=1))
    confidence = looks.confidence(spec, look)
    grid, theory = gather(spec, variant, samples), _expectations(spec, variant)
    cells = tuple(cells_of(grid, spec.widths, theory.at, confidence))
    further = tuple(further_cells(grid, spec.widths, theory.on_depth, confidence))
    family = Family((*cells, *known(further)), confidence)
    cells, further = tuple(map(family.told, cells)), tuple(map(family.told, further))
    tensors, others = tuple(tensor_verdicts(cells)), tuple(tensor_verdicts(known(further)))
    verdict = worst_of((*tensors, *others))
    judged = runs_judged.get(variant.key, 0)
    per_seed = len(spec.widths) * len(spec.depths) * (len(spec.batch_sizes) or 1)
    is_whole = look < spec.seeds and judged == per_seed * look
    deciding = (*cells, *known(further))
    has_stopped = is_whole and stopping.is_decided(verdict, deciding, confidence)
    planned = per_seed * (look if has_stopped else spec.seeds)
    is_open = verdict is CellVerdict.INCONCLUSIVE and judged == planned
    stable = statements.is_stable(worst_of(tensors)) if tensors else None
    is_final = final or has_stopped
    return VariantVerdict(
        variant=variant.key,
        label=variant.label,
        verdict=verdict,
        final=is_final,
        runs_judged=judged,
        runs_planned=planned,
        confidence=confidence,
        stopped_early=EarlyStop(seeds=look, of=spec.seeds) if has_stopped else None,
        stable=stable,
        depth_stable=statements.is_depth_stable(further),
        as_theory=statements.as_theory(deciding),
        addition=power.of_study(spec, variant, cells, confidence) if is_open else None,
        diagnosis=of_variant(
            spec, variant, (*cells, *further), confidence=confidence, stable=stable
        )
        if is_final
        else None,
        tensors=tensors,
        cells=cells,
        further_tensors=others,
        further_cells=further,
        joint=joint_slopes(grid, spec.widths, confidence),
    )


def further_cells(
    grid: Grid, widths: Sequence[int], on_depth: StandardOf, confidence: float
) -> Iterator[Cell]:
    """Every measured cell over depth, batch size and step, of those that the study varies."""
    standards: Mapping[Axis, StandardOf] = {
        Axis.DEPTH: on_depth,
        Axis.BATCH: lambda at, statistic: expected.on_batch_size(at.kind, statistic, at.step),
        Axis.STEP: lambda at, statistic: expected.on_step(),
    }
    for axis, standard in standards.items():
        if turned := axes.over(grid, axis, widths):
            yield from cells_on(*turned, standard, confidence)


def known(further: Iterable[Cell]) -> list[Cell]:
    """The cells over depth that decide: those of which theory has an exponent."""
    return [cell for cell in further if cell.axis is Axis.DEPTH and cell.expected is not None]


def _expectations(spec: StudySpec, variant: Variant) -> Expectations:
    parametrization, optimizer, model = variant.parametrization, variant.optimizer, variant.model
    return Expectations(
        parametrization=Choice(parametrization.name, parametrization.options),
        optimizer=optimizer.name,
        optimizer_options=dict(optimizer.options),
        model=model.name,
        options=dict(model.options),
        widths=spec.widths,
        depth=spec.depths[-1],
    )


def worst_of(tensors: Iterable[TensorVerdict]) -> CellVerdict:
    """The verdict of the worst tensor; without any nothing is known."""
    words = (tensor.verdict for tensor in tensors)
    return max(words, key=_severity, default=CellVerdict.INCONCLUSIVE)


def tensor_verdicts(cells: Sequence[Cell]) -> Iterator[TensorVerdict]:
    """One verdict per place of a tensor of which any cell decides."""
    groups: defaultdict[Hashable, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.decides:
            groups[statements.place(cell)].append(cell)
    for own in groups.values():
        worst = max((cell for cell in own if cell.counts), key=_badness, default=None)
        verdict, still = worst.verdict if worst else CellVerdict.FLAT, _never_moved(own)
        if still and _severity(verdict) < _severity(CellVerdict.INCONCLUSIVE):
            verdict, worst = CellVerdict.INCONCLUSIVE, still
        first = own[0]
        yield TensorVerdict(
            axis=first.axis,
            width=first.width,
            batch_size=first.batch_size,
            tensor=first.tensor,
            kind=first.kind,
            role=first.role,
            depth=first.depth,
            verdict=verdict,
            worst=worst,
        )


def _never_moved(cells: Sequence[Cell]) -> Cell | None:
    """The last cell of a statistic that is exactly zero at every step."""
    for statistic in dict.fromkeys(cell.statistic for cell in cells):
        own = [cell for cell in cells if cell.statistic is statistic]
        if all(cell.verdict is CellVerdict.ZERO for cell in own):
            return own[-1]
    return None


def _badness(cell: Cell) -> tuple[int, float, int]:
    """Severity, then the largest |slope|, then the earliest step."""
    return (_severity(cell.verdict), abs(cell.slope or 0.0), -cell.step)


def _severity(verdict: CellVerdict) -> int:
    return FROM_HARMLESS_TO_WORST.index(verdict)
