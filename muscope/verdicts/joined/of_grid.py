"""Reasons in how it was measured: what the grid, the horizon and the noise leave open."""

import math
from collections.abc import Iterator

from muscope.verdicts.joined.case import Case
from muscope.verdicts.joined.types import Reason
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.student import quantile
from muscope.verdicts.transfer.tolerance import TOLERANCE
from muscope.verdicts.transfer.types import WidthOptimum
from muscope.verdicts.transfer.words import at, nouns
from muscope.vocabulary import Axis, TransferVerdict

NARROW = 256
"""Width of a proxy below which its optimum is bent by finite width (Yang et al. 2022, 6.1)."""
COARSE = 2.0
"""Octaves between rates, the factor 4 with which two curves look alike (facts 9, row 17)."""
SHORT = 5_000
"""Steps that published sweeps have at least (Yang et al. 2022, 6.1): facts 7.1."""
LONG_WARMUP = 0.2
"""Part of a run; published recipes have 1 to 10 %."""
FAR = 2.0
"""Octaves from the best rate at which a check says little of training at the best one."""
MOST_SEEDS = 64
OVERFITS = 0.05
"""Of the loss, by which the training loss lies below the held-out one."""


def reasons(case: Case) -> Iterator[Reason]:
    """Those that apply, the likeliest first."""
    for rule in (
        _checked_elsewhere, _coarse, _narrow, _short, _warmup, _over_fits, _short_check,
    ):  # fmt: skip
        found = rule(case)
        if found is not None:
            yield found


def open_ends(case: Case) -> Iterator[Reason]:
    """What kept a sweep from being decided."""
    for rule in (_edge, _one_seed, _noisy, _flat, _coarse):
        found = rule(case)
        if found is not None:
            yield found


def _checked_elsewhere(case: Case) -> Reason | None:
    """The check runs at the variant's own rate, octave 0."""
    far = min((one.optimum for one in case.optima if one.optimum is not None), default=0.0)
    if case.checked is None or far < FAR:
        return None
    return Reason(
        key="checked_elsewhere",
        title="The check was run at a rate far too small to show anything",
        evidence=f"its rate, {case.variant.optimizer.learning_rate:g}, is {far:.1f} octaves or "
        "more below the best ones of the sweep",
        source="facts 9, row 18",
        advice=f"take {case.variant.optimizer.learning_rate * 2**far:.2g} as the optimizer's own "
        "learning rate",
    )


def _coarse(case: Case) -> Reason | None:
    moved = case.octaves_moved
    if case.spacing >= COARSE:
        said = f"rates are {case.spacing:g} octaves apart"
    elif moved is not None and abs(moved) < case.spacing:
        said = f"the optimum moves by {abs(moved):.2f} octaves in all, and rates are "
        said += f"{case.spacing:g} apart: by less than one cell"
    else:
        return None
    return Reason(
        key="coarse_grid",
        title="The grid of learning rates is coarse for this drift",
        evidence=said,
        source="facts 9, row 17; facts 7.1",
        advice="put rates between those around the optimum, half an octave apart",
    )


def _narrow(case: Case) -> Reason | None:
    smallest = case.spec.widths[0]
    if smallest >= NARROW or case.axis is not Axis.WIDTH:
        return None
    return Reason(
        key="narrow_proxy",
        title="The smallest width is narrow",
        evidence=f"width {smallest}, where rules for large width hold roughly only; "
        f"{NARROW} and more is the published advice",
        source="facts 9, row 16; Yang et al. 2022, section 6.1",
        advice=f"leave out widths below {NARROW} where that can be afforded, or add wider ones",
    )


def _short(case: Case) -> Reason | None:
    if case.spec.steps >= SHORT or case.axis is Axis.STEPS:
        return None
    return Reason(
        key="short_horizon",
        title="Training is short",
        evidence=f"{case.spec.steps} steps; the best rate falls with the length of training, and "
        "early ones favour large rates",
        source="facts 9, row 16; facts 7.1",
        advice=f"train {2 * case.spec.steps} steps and see whether the verdict stays",
    )


def _warmup(case: Case) -> Reason | None:
    warmup = int(case.optimizer.get("warmup_steps", 0))
    share = warmup / case.spec.steps
    if share < LONG_WARMUP:
        return None
    return Reason(
        key="long_warmup",
        title="Warm-up is a large part of training",
        evidence=f"warmup_steps {warmup} of {case.spec.steps} steps, {share:.0%}; the time at the "
        "full rate is what differs between rates",
        source="facts 9, rows 16 and 19",
        advice="keep the steps of the warm-up and train longer, or warm up less",
    )


def _over_fits(case: Case) -> Reason | None:
    """Held-out loss above the training loss at the best rate of the largest place."""
    if not case.optima or case.swept.judged_on == "training":
        return None
    last = case.optima[-1]
    cell = next((cell for cell in last.cells if cell.octave == last.best), None)
    if cell is None or cell.loss is None or cell.train_loss is None:
        return None
    if cell.loss - cell.train_loss < OVERFITS * abs(cell.loss):
        return None
    return Reason(
        key="over_fitting",
        title="The model over-fits",
        evidence=f"at its best rate the largest loses {cell.loss:.3f} on held-out data and "
        f"{cell.train_loss:.3f} in training",
        source="Blake et al. 2024 (u-µP): rates transfer while models under-fit",
        advice="take more data, or fewer steps, so that no batch comes twice",
    )


def _short_check(case: Case) -> Reason | None:
    check = case.spec.check
    if check is None or check.steps is None or case.checked is None:
        return None
    trained = check.steps - int(case.optimizer.get("warmup_steps", 0))
    if trained > 2:
        return None
    return Reason(
        key="short_check",
        title="The check is short",
        evidence=f"{check.steps} steps, of which {max(trained, 0)} are after the warm-up",
        source="facts 9, row 18",
        advice="give the check 4 steps or more after the warm-up",
    )


def _edge(case: Case) -> Reason | None:
    """Where the best rate lies at the end of the grid there is no optimum at all."""
    if case.swept.verdict is not TransferVerdict.NOT_BRACKETED:
        return None
    sides: dict[str, list[int]] = {}
    for one in case.swept.optima:
        if one.missing_side:
            sides.setdefault(one.missing_side, []).append(one.on(case.axis))
    if not sides:
        return None
    return Reason(
        key="edge_of_grid",
        title="The best rate lies at the end of the grid",
        evidence="; ".join(
            f"{at(case.axis, *dict.fromkeys(places))}: no {side} rate was tried"
            for side, places in sides.items()
        ),
        source="facts 9, row 17",
        advice=f"add {' and '.join(sides)} octaves",
    )


def _one_seed(case: Case) -> Reason | None:
    if case.spec.seeds > 1:
        return None
    return Reason(
        key="one_seed",
        title="One seed has no interval",
        evidence="seeds 1",
        source="facts 7.1",
        advice="take 3 seeds or more",
    )


def _noisy(case: Case) -> Reason | None:
    """An interval of the drift that is too wide, and how many seeds make it narrow enough."""
    drift, seeds = case.drift, case.spec.seeds
    if drift is None or drift.low is None or drift.high is None:
        return None
    half_width = (drift.high - drift.low) / 2
    if half_width <= drift.tolerance / 2:
        return None
    scale = half_width * math.sqrt(seeds) / quantile(seeds - 1, CONFIDENCE)
    enough = next(
        (n for n in range(seeds + 1, MOST_SEEDS + 1)
         if quantile(n - 1, CONFIDENCE) * scale / math.sqrt(n) <= drift.tolerance / 2),
        None,
    )  # fmt: skip
    more = f"about {enough} seeds in all" if enough else f"a wider range of {nouns(case.axis)}"
    if any(map(_stands_at_a_cliff, case.optima)):
        more += ", and rates half an octave apart: beside rates that diverge seeds narrow little"
    return Reason(
        key="wide_interval",
        title="The optima of the seeds scatter",
        evidence=f"the interval of the drift is ±{half_width:.2f}, the tolerance "
        f"±{drift.tolerance:g} octaves per doubling",
        source="how verdicts work",
        advice=f"take {more}",
    )


def _stands_at_a_cliff(one: WidthOptimum) -> bool:
    """Whether a rate next to the best one diverged, so that the spacing is what is not known."""
    losses = [cell.loss for cell in one.cells]
    return any(
        None in (before, after)
        for before, cell, after in zip(losses, one.cells[1:], losses[2:], strict=False)
        if cell.octave == one.best
    )


def _flat(case: Case) -> Reason | None:
    """A plateau wider than what would be a drift hides where the optimum is."""
    wide = max((one.plateau or 0.0 for one in case.optima), default=0.0)
    places = [one.on(case.axis) for one in case.optima]
    if len(places) < 2 or places[0] < 1:
        return None
    tolerated = TOLERANCE * math.log2(places[-1] / places[0])
    if wide <= 2 * max(tolerated, 0.5):
        return None
    return Reason(
        key="flat_curve",
        title="The loss hardly depends on the rate",
        evidence=f"over {wide:.1f} octaves it is within 0.01 of the least",
        source="facts 7.1 (plateau)",
        advice="train longer, which makes the optimum sharper, or add seeds",
    )
