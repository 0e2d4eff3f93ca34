"""Reasons in what is trained: what the rules leave to width that a coordinate check does not see.

A coordinate check sees sizes over a few steps at one learning rate. What acts through many steps,
or does not change a size, it cannot see (facts 9, row 19).
"""

import math
from collections.abc import Callable, Iterator

from muscope import catalogue
from muscope.catalogue import WeightKind
from muscope.catalogue.models.transformer import heads
from muscope.verdicts.joined.case import Case
from muscope.verdicts.joined.types import Reason
from muscope.verdicts.transfer.words import noun
from muscope.vocabulary import Axis, DecayForm, Role, UpdateFamily

LARGE_EPSILON = 1e-9
"""Gradients fall with width and come near it; at 1e-16 they never do (facts 1; Everett 2024)."""
SCALES_EPSILON = {Axis.WIDTH: ("u_mup",), Axis.DEPTH: ("u_mup", "depth_mup", "complete_p")}
"""Whose gradients are of unit size, so that epsilon needs no factor, or who have one in depth."""

Rule = Callable[[Case], Reason | None]


def reasons(case: Case) -> Iterator[Reason]:
    """Those that apply, the likeliest first."""
    for rule in (
        _fault,
        _expected,
        _decay,
        _gains,
        _epsilon,
        _heads,
        _depth,
        _vectors,
        _clip,
        _precision,
    ):
        found = rule(case)
        if found is not None:
            yield found


def known_to_move(case: Case) -> Iterator[Reason]:
    """That of theory and practice alone, which holds before anything is measured."""
    found = _expected(case)
    if found is not None:
        yield found


def _fault(case: Case) -> Reason | None:
    if not case.variant.parametrization.fault:
        return None
    return Reason(
        key="fault",
        title="One of its rules is broken on purpose",
        evidence=case.variant.parametrization.title,
        source="this study",
        advice="leave the fault out to see what the rule gives",
    )


def _expected(case: Case) -> Reason | None:
    """Of some parametrizations and axes the best rate is known to move."""
    drift = case.drift
    if drift is None or not drift.expected:
        return None
    title = catalogue.PARAMETRIZATION_ENTRIES[case.variant.parametrization.name].title
    measured = "" if drift.slope is None else f"; measured are {_octaves(drift.slope)}"
    return Reason(
        key="expected_drift",
        title=f"With {title} the best learning rate is known to move",
        evidence=f"by about {_octaves(drift.expected)} octaves per doubling of "
        f"{noun(case.axis)}{measured}",
        source=drift.source,
        advice="take µP ('mup'), u-µP or another parametrization that scales rates with width"
        if case.axis is Axis.WIDTH
        else f"scale the rate with the {noun(case.axis)} by this rule",
    )


def _octaves(value: float) -> str:
    """Two decimals with a sign, and a true minus."""
    return f"{value:+.2f}".replace("-", "−")


def _decay(case: Case) -> Reason | None:
    """Per step a weight shrinks by rate times decay in the coupled form: their product counts."""
    decay = float(case.optimizer.get("weight_decay", 0.0))
    if not decay or case.axis is not Axis.WIDTH:
        return None
    if case.entry.decay is DecayForm.L2 and case.entry.family is not UpdateFamily.SGD_LIKE:
        return Reason(
            key="decay_in_moments",
            title="Weight decay goes through the optimizer's moments",
            evidence=f"weight_decay {decay:g} is added to the gradient, whose size changes with "
            "width; no factor makes up for that",
            source="facts 1 and 3",
            advice="take 'adamw_independent', or 'adamw' with a parametrization that scales decay",
        )
    if case.entry.decay is DecayForm.INDEPENDENT:
        return None
    ratios = [
        wide.learning_rate_factor
        * wide.weight_decay_factor
        / (narrow.learning_rate_factor * narrow.weight_decay_factor)
        for weight, narrow, wide in case.weights()
        if weight.role is Role.HIDDEN
    ]
    changed = max(ratios, key=lambda ratio: abs(math.log(ratio)), default=1.0)
    if 0.5 < changed < 2.0:  # no factor that a sweep of whole octaves would show
        return None
    small, large = case.spec.widths[0], case.spec.widths[-1]
    return Reason(
        key="coupled_decay",
        title="Weight decay is multiplied by a learning rate that changes with width",
        evidence=f"of hidden weights, rate times weight_decay {decay:g} at width {large} is "
        f"{changed:.3g} times that at width {small}; sizes over a few steps do not show it",
        source="facts 9, row 11; Lingle 2024 (decoupled weight decay does not transfer)",
        advice="take 'adamw_independent', or set weight_decay to 0",
    )


def _gains(case: Case) -> Reason | None:
    """Lingle's tables are over width."""
    if case.axis is not Axis.WIDTH:
        return None
    gains = sum(weight.kind is WeightKind.GAIN for weight, *_ in case.weights())
    if not gains:
        return None
    return Reason(
        key="trainable_gains",
        title="Norms have trainable gains",
        evidence=f"norm_gains {case.model.get('norm_gains')}: {gains} of them; in Lingle's tables "
        "the best rate moves by 2 to 4 octaves from width 128 to 2048 with them",
        source="facts 9, row 12; Lingle 2024; Blake et al. 2024 (u-µP)",
        advice="set norm_gains to none",
    )


def _epsilon(case: Case) -> Reason | None:
    epsilon = float(case.optimizer.get("epsilon", 0.0))
    is_adam_like = case.entry.family is UpdateFamily.SIGN_LIKE
    if epsilon < LARGE_EPSILON or not is_adam_like or case.axis not in (Axis.WIDTH, Axis.DEPTH):
        return None
    if case.variant.parametrization.name in SCALES_EPSILON[case.axis]:
        return None
    if case.axis is Axis.WIDTH and any(
        weight.role is Role.HIDDEN and wide.epsilon_factor < narrow.epsilon_factor
        for weight, narrow, wide in case.weights()
    ):
        return None  # the rule scales it
    return Reason(
        key="fixed_epsilon",
        title="Epsilon stays while gradients become smaller",
        evidence=f"epsilon {epsilon:g} is the same at every {noun(case.axis)}; gradients of hidden "
        f"weights fall with {noun(case.axis)}, and updates shrink where they come near it",
        source="facts 9, row 13; Everett et al. 2024; CompleteP (Dey et al. 2025)",
        advice="take epsilon 1e-16",
    )


def _heads(case: Case) -> Reason | None:
    """Heads that grow need 1/d attention."""
    if "head_size" not in case.model or case.axis is not Axis.WIDTH:
        return None
    model = dict(case.model)
    small, large = (heads(width, model).size for width in (case.spec.widths[0], case.widest))
    if small == large or case.model["attention_scale"] != "1/sqrt(d)":
        return None
    return Reason(
        key="attention_scale",
        title="Attention heads grow, and q·k is divided by √d only",
        evidence=f"heads have {small} elements at the smallest width and {large} at the largest, "
        "attention_scale is 1/sqrt(d)",
        source="facts 9, row 15; Yang et al. 2022, definition 4.1",
        advice="set attention_scale to rule, or heads to 0 for heads of one size",
    )


def _depth(case: Case) -> Reason | None:
    if case.axis is not Axis.DEPTH or case.drift is None or case.drift.expected is not None:
        return None
    title = catalogue.PARAMETRIZATION_ENTRIES[case.variant.parametrization.name].title
    return Reason(
        key="no_rule_for_depth",
        title=f"No rule is known by which the rate of {title} keeps with depth here",
        evidence=f"depths {', '.join(map(str, case.spec.depths))}",
        source="facts 9, row 29; CompleteP (Dey et al. 2025)",
        advice="take 'complete_p', or one depth",
    )


def _vectors(case: Case) -> Reason | None:
    """Unit scaling gives biases and gains the rate of embeddings, which is large for them."""
    if case.variant.parametrization.name != "u_mup" or not case.model.get("biases"):
        return None
    return Reason(
        key="u_mup_vectors",
        title="Biases of u-µP may move too fast",
        evidence="biases are on, and rates of u-µP are near 1",
        source="facts 9, row 24; unit-scaling issue 88",
        advice="set biases to false",
    )


def _clip(case: Case) -> Reason | None:
    """Of ours ADOPT and Sophia clip; nobody clips by a global norm here."""
    clips = bool(case.optimizer.get("clip")) or "gamma" in case.optimizer
    if not clips:
        return None
    said = "clip is on" if "clip" in case.optimizer else f"gamma {case.optimizer['gamma']:g}"
    return Reason(
        key="clipping",
        title="Updates are clipped at a size that no rule scales",
        evidence=f"{case.entry.title}: {said}; how often it acts changes with width and rate",
        source="facts 9, row 19",
        advice="take an optimizer that does not clip, such as 'adamw', to see whether it is this",
    )


def _precision(case: Case) -> Reason | None:
    """FP8 has so few exponents; bfloat16 has as many as float32 (facts 6)."""
    precision = case.model.get("precision")
    if precision != "fp8" or case.variant.parametrization.name == "u_mup":
        return None
    return Reason(
        key="precision",
        title="Small numbers are lost in the precision of products",
        evidence=f"precision {precision}; weights and gradients become smaller with width",
        source="facts 9, row 30; Blake et al. 2024 (u-µP)",
        advice="take float32, or u-µP ('u_mup'); a study with record full counts what underflows",
    )
