"""Reasons why a check fails where the learning rate transfers: what grows need not matter yet."""

import math
from collections.abc import Iterator

from muscope.verdicts.joined.case import Case
from muscope.verdicts.joined.of_grid import FAR
from muscope.verdicts.joined.types import Reason
from muscope.verdicts.types import TensorVerdict
from muscope.vocabulary import Axis, CellVerdict, Role, TensorKind

FEW_DOUBLINGS = 3.0
"""Between the smallest and the largest width: over fewer a wrong exponent adds up to little."""

_FAILS = (CellVerdict.GROWS, CellVerdict.SHRINKS, CellVerdict.DIVERGED)


def reasons(case: Case) -> Iterator[Reason]:
    """Those that apply, the likeliest first."""
    for rule in (_above_the_best, _as_theory, _small, _normed, _few_doublings):
        found = rule(case)
        if found is not None:
            yield found


def _failing(case: Case) -> list[TensorVerdict]:
    if case.checked is None:
        return []
    return [one for one in case.checked.tensors if one.verdict in _FAILS]


def _above_the_best(case: Case) -> Reason | None:
    known = [one.optimum for one in case.optima if one.optimum is not None]
    if not known or max(known) > -FAR:
        return None
    return Reason(
        key="above_the_best",
        title="The check was run at a rate too large for these models",
        evidence=f"its rate is {-max(known):.1f} octaves above the best one of the sweep",
        source="facts 9, row 18",
        advice=f"take {case.variant.optimizer.learning_rate * 2 ** max(known):.2g} as the "
        "optimizer's own learning rate",
    )


def _as_theory(case: Case) -> Reason | None:
    if case.checked is None or not case.checked.as_theory:
        return None
    return Reason(
        key="as_theory",
        title="Sizes change as the theory of this parametrization says",
        evidence=f"{case.variant.parametrization.title}: {case.checked.sentence()}, as expected",
        source="the expected exponents of the study's coordinate check",
        advice="do not rely on the transfer beyond these widths: at larger ones it has to show",
    )


def _small(case: Case) -> Reason | None:
    slopes = [abs(one.worst.slope) for one in _failing(case) if one.worst and one.worst.slope]
    drift = case.drift
    if not slopes or drift is None or max(slopes) > drift.tolerance:
        return None
    return Reason(
        key="small_slopes",
        title="What changes, changes slowly",
        evidence=f"the steepest slope is {max(slopes):.2f}; a drift below {drift.tolerance:g} "
        "octaves per doubling still counts as transfer",
        source="the tolerances of both verdicts",
        advice="see the diagnosis of the check; over many doublings it adds up",
    )


def _normed(case: Case) -> Reason | None:
    """A norm divides by the size of what it reads."""
    failing = _failing(case)
    before_norm = (Role.RESIDUAL, Role.EMBEDDING)
    if not failing or case.model.get("norm_placement") != "pre":
        return None
    if any(one.role not in before_norm or one.kind is not TensorKind.ACTIVATION for one in failing):
        return None
    return Reason(
        key="normed_away",
        title="Only the residual stream changes, and every branch reads it through a norm",
        evidence=", ".join(dict.fromkeys(one.tensor for one in failing[:4])),
        source="facts 5.3",
        advice="watch the ratio of branch to stream; at larger widths blocks may add nothing",
    )


def _few_doublings(case: Case) -> Reason | None:
    widths = case.spec.widths
    doublings = math.log2(widths[-1] / widths[0])
    if case.axis is not Axis.WIDTH or doublings > FEW_DOUBLINGS:
        return None
    return Reason(
        key="few_doublings",
        title="The widths are close together",
        evidence=f"{doublings:.1f} doublings from {widths[0]} to {widths[-1]}",
        source="facts 4 and 7.1",
        advice=f"add width {2 * widths[-1]}",
    )
