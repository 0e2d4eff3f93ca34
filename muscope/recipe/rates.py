"""The base learning rate of a recipe: the optimum nearest to the target, or what there is."""

import math
from collections.abc import Mapping, Sequence

from muscope.recipe.types import BaseRate, NotARecipe, NotJudged, Rate
from muscope.spec import TRANSFER_AXES, StudySpec, Variant
from muscope.verdicts.hyperparameters.types import JudgedSet, SearchJudgement
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.transfer.types import Drift, TransferJudgement, WidthOptimum
from muscope.verdicts.types import Judged
from muscope.vocabulary import Axis


def base_rate(
    spec: StudySpec, variant: Variant, verdicts: Sequence[Judged], *, width: int, depth: int
) -> BaseRate:
    """What the study says of the rate; NotARecipe where it says nothing yet."""
    swept = next((one for one in verdicts if isinstance(one, TransferJudgement)), None)
    searched = next((one for one in verdicts if isinstance(one, SearchJudgement)), None)
    if swept is not None:
        return _tuned(swept, width=width, depth=depth)
    if searched is not None:
        return _searched(searched, spec.depths[-1])
    if not verdicts or spec.kind != "coordinate_check":
        raise NotJudged(
            f"the variant {variant.key!r} has not been judged yet; a recipe needs a verdict, so "
            "wait for the first"
        )
    return BaseRate(learning_rate=variant.optimizer.learning_rate, origin=Rate.GIVEN)


def _tuned(swept: TransferJudgement, *, width: int, depth: int) -> BaseRate:
    """The optimum of the place nearest to the target: its depth first, then its width.

    Of several batch sizes, sequence lengths and numbers of steps it is that of the largest.
    """
    tried = [one for one in swept.optima if one.best is not None]
    if not tried:
        raise NotARecipe(
            f"no learning rate of {swept.variant!r} gave a finite loss, so none can be taken; try "
            "smaller ones"
        )
    tried = _nearest(tried, Axis.DEPTH, depth)
    bracketed = [one for one in tried if one.is_bracketed]
    proxy = max(_nearest(bracketed or tried, Axis.WIDTH, width), key=_training)
    place = {
        "width": proxy.width,
        "depth": proxy.depth,
        "batch_size": proxy.batch_size,
        "sequence_length": proxy.sequence_length,
        "steps": proxy.steps,
    }
    if proxy.optimum is None:
        return BaseRate(
            learning_rate=swept.learning_rate * math.exp2(proxy.best or 0.0),
            origin=Rate.BEST_TRIED,
            seeds=proxy.seeds,
            **place,
        )
    low, high = _from(proxy.optimum, proxy.low), _from(proxy.optimum, proxy.high)
    drift = _drifted(swept, proxy, {Axis.WIDTH: width, Axis.DEPTH: depth})
    return BaseRate(
        learning_rate=swept.learning_rate * math.exp2(proxy.optimum),
        origin=Rate.OPTIMUM,
        seeds=proxy.seeds,
        low=low,
        high=high,
        confidence=None if low is None else CONFIDENCE,
        drift_low=drift and drift[0],
        drift_high=drift and drift[1],
        **place,
    )


def _training(one: WidthOptimum) -> tuple[int, ...]:
    return tuple(one.on(axis) for axis in (Axis.STEPS, Axis.BATCH, Axis.SEQUENCE))


def _from(centre: float, end: float | None) -> float | None:
    return None if end is None else end - centre


def _searched(searched: SearchJudgement, depth: int) -> BaseRate:
    """That of the winning set; its interval is over sets and not of a rate, so there is none."""
    winner = winning(searched)
    width = max(one.width for one in winner.widths)
    at = winner.at(width)
    return BaseRate(
        learning_rate=winner.hyperparameters.learning_rate,
        origin=Rate.SEARCHED,
        width=width,
        depth=depth,
        seeds=at.seeds if at else 0,
    )


def winning(searched: SearchJudgement) -> JudgedSet:
    """The set that a search ranks first at the largest width; NotARecipe where it has none."""
    found = searched.numbered(searched.winner)
    if found is None:
        raise NotARecipe(f"the search of {searched.variant!r} has no winner: {searched.sentence()}")
    return found


def _nearest(optima: Sequence[WidthOptimum], axis: Axis, target: int) -> list[WidthOptimum]:
    """Those of the largest size that is not beyond the target; of the smallest if all are."""
    sizes = {one.on(axis) for one in optima}
    below = [size for size in sizes if size <= target]
    chosen = max(below) if below else min(sizes)
    return [one for one in optima if one.on(axis) == chosen]


def drift_at(swept: TransferJudgement, place: WidthOptimum | BaseRate, axis: Axis) -> Drift | None:
    """How the optimum moves along an axis through a place, if that was asked."""
    others = [other for other in TRANSFER_AXES if other is not axis]
    return next(
        (
            drift
            for drift in swept.drifts_on(axis)
            if all(_same(drift, place, other) for other in others)
        ),
        None,
    )


def _same(drift: Drift, place: WidthOptimum | BaseRate, axis: Axis) -> bool:
    """Whether both stand at one place of an axis; a drift says no width where its own axis is."""
    mine, theirs = getattr(drift, axis.value), getattr(place, axis.value)
    return mine is None or theirs is None or mine == theirs


def _drifted(
    swept: TransferJudgement, proxy: WidthOptimum, target: Mapping[Axis, int]
) -> tuple[float, float] | None:
    """Where the drifts along the target's axes put the optimum; None where none has an interval."""
    known = {axis: drift_at(swept, proxy, axis) for axis in target}
    ends = [
        sorted(end * math.log2(target[axis] / proxy.on(axis)) for end in (drift.low, drift.high))
        for axis, drift in known.items()
        if drift is not None and drift.low is not None and drift.high is not None
    ]
    if not ends:
        return None
    return math.fsum(low for low, _ in ends), math.fsum(high for _, high in ends)
