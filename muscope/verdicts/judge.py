"""Samples become verdicts: one function that badge, table, report and exit code all read.

A cell is *flat* when the interval of its slope lies within the tolerance and every planned width
is there, *grows* or *shrinks* when it lies beyond, else *inconclusive*; *zero* when there is
nothing to fit, *diverged* when a value is not finite. A tensor with a statistic that is zero at
every step is inconclusive: nothing moved. A departure is legal only if the whole
interval lies in the band of a legal exception; an interval that merely overlaps the band is
inconclusive. `smallest_detectable` is the tolerance plus half the interval: a smaller true slope
would usually not be told from flat on this grid. A cell is `as_expected` when theory's exponent
lies within the interval widened by the tolerance, and undecided when the interval is wider than
that. A cell that is excused never disagrees: that it is not there yet is what is legal.

With several depths, every depth is judged by itself: a slope on width per depth.

A study that may stop early is judged look by look: the intervals are those of the look that the
seeds belong to, and a variant that is decided when all runs of a look are in has stopped.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from muscope.catalogue.expectations import Expectations
from muscope.catalogue.rules import Choice
from muscope.records import Sample
from muscope.spec import StudySpec, Variant
from muscope.theory import expected
from muscope.theory.expected import TOLERANCE, Coordinates, LegalException
from muscope.verdicts import looks, stopping
from muscope.verdicts.grid import Grid, Place, gather
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.slopes import Fits, Interval, fit
from muscope.verdicts.types import Cell, EarlyStop, TensorVerdict, VariantVerdict
from muscope.vocabulary import CellVerdict, Statistic

FROM_HARMLESS_TO_WORST = (
    CellVerdict.ZERO,
    CellVerdict.FLAT,
    CellVerdict.INCONCLUSIVE,
    CellVerdict.SHRINKS,
    CellVerdict.GROWS,
    CellVerdict.DIVERGED,
)

EXCUSABLE = (CellVerdict.SHRINKS, CellVerdict.INCONCLUSIVE)
"""What a legal exception can excuse: growing is never excused."""


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
    cells = tuple(_cells(spec, variant, samples, confidence))
    tensors = tuple(tensor_verdicts(cells))
    verdict = worst_of(tensors)
    judged, per_seed = runs_judged.get(variant.key, 0), len(spec.widths) * len(spec.depths)
    is_whole = look < spec.seeds and judged == per_seed * look
    has_stopped = is_whole and stopping.is_decided(verdict, cells, confidence)
    return VariantVerdict(
        variant=variant.key,
        label=variant.label,
        verdict=verdict,
        final=final or has_stopped,
        runs_judged=judged,
        runs_planned=per_seed * (look if has_stopped else spec.seeds),
        confidence=confidence,
        stopped_early=EarlyStop(seeds=look, of=spec.seeds) if has_stopped else None,
        tensors=tensors,
        cells=cells,
    )


def _cells(
    spec: StudySpec, variant: Variant, samples: Sequence[Sample], confidence: float
) -> Iterator[Cell]:
    """Every measured cell: by depth, kind, tensor in model order, step, statistic."""
    at = _expectations(spec, variant).at
    return cells_of(gather(spec, variant, samples), spec.widths, at, confidence)


def cells_of(
    grid: Grid,
    widths: Sequence[int],
    at: Callable[[Place, Statistic], Coordinates],
    confidence: float = CONFIDENCE,
) -> Iterator[Cell]:
    """Every measured cell of a grid; `at` says what its expectation depends on."""
    cell_shape = (len(grid.places) * len(grid.statistics), *grid.values.shape[2:])
    values, present = grid.values.reshape(cell_shape), grid.present.reshape(cell_shape)
    fits = fit(widths, values, present, confidence=confidence)
    keys = ((place, statistic) for place in grid.places for statistic in grid.statistics)
    for number, (place, statistic) in enumerate(keys):
        if fits.widths[number].any():
            yield _cell(at(place, statistic), place, widths, fits, number)


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


def _cell(at: Coordinates, place: Place, widths: Sequence[int], fits: Fits, number: int) -> Cell:
    interval = fits.interval_of(number)
    half_width = fits.half_width_of(number)
    theory = expected.expectation(at)
    verdict = _verdict(fits, number)
    legal = expected.legal_exception(at)
    overlaps = legal is not None and _overlaps(interval, legal)
    excused = legal is not None and verdict in EXCUSABLE and _lies_in(interval, legal)
    if verdict is CellVerdict.SHRINKS and overlaps and not excused:
        verdict = CellVerdict.INCONCLUSIVE
    return Cell(
        tensor=place.tensor,
        kind=place.kind,
        role=place.role,
        depth=place.depth,
        step=place.step,
        statistic=at.statistic,
        verdict=verdict,
        slope=fits.slope_of(number),
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        seeds=int(fits.seeds[number]),
        widths=tuple(w for w, has in zip(widths, fits.widths[number], strict=True) if has),
        tolerance=TOLERANCE,
        smallest_detectable=None if half_width is None else TOLERANCE + half_width,
        exception=legal.reason if legal and excused else None,
        expected=theory.exponent,
        as_expected=_as_expected(theory.exponent, interval, excused=excused),
        source=theory.source,
    )


def _verdict(fits: Fits, number: int) -> CellVerdict:
    interval = fits.interval_of(number)
    if fits.diverged[number]:
        return CellVerdict.DIVERGED
    if fits.zero[number]:
        return CellVerdict.ZERO
    if interval is None:
        return CellVerdict.INCONCLUSIVE
    verdict = _of_interval(*interval)
    lacks_widths = not fits.widths[number].all()
    return CellVerdict.INCONCLUSIVE if verdict is CellVerdict.FLAT and lacks_widths else verdict


def _of_interval(low: float, high: float) -> CellVerdict:
    if low > TOLERANCE:
        return CellVerdict.GROWS
    if high < -TOLERANCE:
        return CellVerdict.SHRINKS
    if low >= -TOLERANCE and high <= TOLERANCE:
        return CellVerdict.FLAT
    return CellVerdict.INCONCLUSIVE


def _lies_in(interval: Interval | None, legal: LegalException) -> bool:
    return interval is not None and legal.low <= interval[0] and interval[1] <= legal.high


def _overlaps(interval: Interval | None, legal: LegalException) -> bool:
    return interval is not None and legal.low <= interval[1] and interval[0] <= legal.high


def _as_expected(
    exponent: float | None, interval: Interval | None, *, excused: bool
) -> bool | None:
    if exponent is None or interval is None:
        return None
    low, high = interval
    agrees = low - TOLERANCE <= exponent <= high + TOLERANCE
    undecided = high - low > 2 * TOLERANCE if agrees else excused
    return None if undecided else agrees


def worst_of(tensors: Iterable[TensorVerdict]) -> CellVerdict:
    """The verdict of the worst tensor; without any nothing is known."""
    words = (tensor.verdict for tensor in tensors)
    return max(words, key=_severity, default=CellVerdict.INCONCLUSIVE)


def tensor_verdicts(cells: Sequence[Cell]) -> Iterator[TensorVerdict]:
    """One verdict per depth, kind and tensor of which any cell decides; `cells` come in groups."""
    deciding = (cell for cell in cells if cell.decides)
    for (depth, kind, tensor), group in groupby(
        deciding, key=lambda c: (c.depth, c.kind, c.tensor)
    ):
        own = list(group)
        worst = max((cell for cell in own if cell.counts), key=_badness, default=None)
        verdict, still = worst.verdict if worst else CellVerdict.FLAT, _never_moved(own)
        if still and _severity(verdict) < _severity(CellVerdict.INCONCLUSIVE):
            verdict, worst = CellVerdict.INCONCLUSIVE, still
        yield TensorVerdict(
            tensor=tensor, kind=kind, role=own[0].role, depth=depth, verdict=verdict, worst=worst
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
