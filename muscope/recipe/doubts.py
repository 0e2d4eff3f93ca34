"""What speaks against a recipe, in sentences: what its study could not tell, or told otherwise."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from muscope.catalogue import OPTIMIZERS, rules
from muscope.catalogue.rules import Choice, Size
from muscope.recipe import rates
from muscope.recipe.types import BaseRate, Rate
from muscope.spec import StudySpec, Variant
from muscope.theory.drifts import expected_drift
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope.verdicts.joined import judge as joined
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.transfer.words import at
from muscope.verdicts.types import Judged, VariantVerdict
from muscope.vocabulary import Axis, CellVerdict, SearchVerdict, TransferVerdict

FARTHEST = 64
"""Times the width: as far as a best rate was seen to hold, from 128 to 8192 (Lingle 2024, Table 4,
facts 7.2)."""

FEW_SEEDS = 3
"""Below which a ranking of sets rests on chance (facts 7.1)."""

KNOWS_DEPTH = ("depth_mup", "complete_p", "u_mup", "minicpm")
"""Parametrizations with a rule for branches of another depth."""


def of(
    spec: StudySpec,
    variant: Variant,
    verdicts: Sequence[Judged],
    rate: BaseRate,
    *,
    width: int,
    depth: int,
) -> tuple[str, ...]:
    """Every reason not to trust the recipe, the gravest kind first."""
    sentences = [
        *(line for one in verdicts for line in _of_verdict(one, rate, width)),
        *_of_reasons(spec, variant, verdicts),
        *_of_rate(rate),
        *_of_theory(variant, verdicts, rate, {Axis.WIDTH: width, Axis.DEPTH: depth}),
        *_of_size(spec, variant, width, depth),
        *_of_outputs(spec, variant, width, depth),
    ]
    return tuple(dict.fromkeys(sentences))


def _of_verdict(verdict: Judged, rate: BaseRate, width: int) -> Iterator[str]:
    match verdict:
        case TransferJudgement():
            yield from _of_transfer(verdict, rate, width)
        case SearchJudgement():
            yield from _of_search(verdict)
        case VariantVerdict():
            yield from _of_check(verdict)


def _of_transfer(swept: TransferJudgement, rate: BaseRate, width: int) -> Iterator[str]:
    match swept.verdict:
        case TransferVerdict.DRIFTS if swept.is_harmless:
            where = at(swept.axis, getattr(rate, swept.axis.value))
            yield f"The learning rate is that of {where} alone: {swept.sentence()}."
        case TransferVerdict.DRIFTS:
            yield f"The learning rate does not transfer: {swept.sentence()}.{_put(rate)}"
        case TransferVerdict.NOT_BRACKETED:
            yield f"The optimum is not bracketed: {swept.sentence()}."
        case TransferVerdict.INCONCLUSIVE:
            yield f"Whether the learning rate transfers is open: {swept.sentence()}."
        case TransferVerdict.TRANSFERS:
            pass
    over_width = rates.drift_at(swept, rate, Axis.WIDTH)
    if over_width is None and width != rate.width:
        yield "The study did not ask over width, so whether the rate transfers to another is open."
    if over_width is not None and over_width.worse_when_wider:
        narrow, wide = over_width.worse_when_wider
        yield (
            f"Wider was worse: at the best rate of the smallest width, width {wide} has a larger "
            f"loss than {narrow}. Under a right parametrization it should not."
        )
    if not swept.final:
        yield _not_over(swept)


def _put(rate: BaseRate) -> str:
    """Where the drift would put the optimum of the target."""
    if rate.drift_low is None or rate.drift_high is None:
        return ""
    octaves = f"{rate.drift_low:+.1f} to {rate.drift_high:+.1f}".replace("-", "−")
    ends = " to ".join(f"{rate.at(end):.2g}" for end in (rate.drift_low, rate.drift_high))
    return f" By its drift the optimum at the recipe's size lies {octaves} octaves away, at {ends}."


def _of_reasons(spec: StudySpec, variant: Variant, verdicts: Sequence[Judged]) -> Iterator[str]:
    """The known reasons why check and sweep disagree, or the rate moves, that this study meets."""
    swept = next((one for one in verdicts if isinstance(one, TransferJudgement)), None)
    checked = next((one for one in verdicts if isinstance(one, VariantVerdict)), None)
    if swept is not None:
        for reason in joined.of_variant(spec, variant, checked, swept).reasons:
            yield f"{reason.title}: {reason.evidence} ({reason.source}); {reason.advice}."


def _of_search(searched: SearchJudgement) -> Iterator[str]:
    match searched.verdict:
        case SearchVerdict.HOLDS:
            pass
        case SearchVerdict.INCONCLUSIVE | SearchVerdict.LOSES | SearchVerdict.NONE_STEADY:
            said = searched.sentence()
            yield f"{said[0].upper()}{said[1:]}."
    if searched.at_edge:
        names = ", ".join(name.replace("_", " ") for name in searched.at_edge)
        yield (
            f"The set that a search ranked first lies at the end of what was tried of: {names}. "
            "Beyond it there may be better ones: take a wider range."
        )
    if not searched.final:
        yield _not_over(searched)


def _of_check(checked: VariantVerdict) -> Iterator[str]:
    match checked.verdict:
        case CellVerdict.FLAT:
            pass
        case CellVerdict.INCONCLUSIVE:
            yield f"The coordinate check is inconclusive: {checked.power() or checked.sentence()}."
        case _:
            yield (
                f"The coordinate check failed: {checked.sentence()}. What was tuned on a small "
                "model need not hold on a large one."
            )
    if checked.as_theory is False:
        yield "The measured slopes are not those that this parametrization's theory gives."
    if not checked.final:
        yield _not_over(checked)


def _not_over(verdict: TransferJudgement | VariantVerdict | SearchJudgement) -> str:
    return (
        f"The study is not over: {verdict.runs_judged} of {verdict.runs_planned} runs were judged."
    )


def _of_rate(rate: BaseRate) -> Iterator[str]:
    if rate.origin is Rate.GIVEN:
        yield (
            "The learning rate was given and not tuned: a coordinate check says whether sizes "
            "keep, not which rate is best."
        )
    elif rate.origin is Rate.BEST_TRIED:
        yield "The learning rate is the best of those tried, at no optimum: it has no interval."
    elif rate.origin is Rate.SEARCHED:
        few = rate.seeds < FEW_SEEDS
        seeds = f"{rate.seeds} seed{'s' if rate.seeds != 1 else ''}"
        advice = f"; take {FEW_SEEDS} seeds or more" if few else ""
        yield (
            "The learning rate has no interval: a search compares whole sets and looks for no "
            f"optimum of the rate alone, here by {seeds}{advice}."
        )
    elif rate.origin is Rate.OPTIMUM and rate.low is None:
        yield "The learning rate has no interval: at least 2 seeds need an optimum of their own."


def _of_theory(
    variant: Variant, verdicts: Sequence[Judged], rate: BaseRate, target: Mapping[Axis, int]
) -> Iterator[str]:
    """How far theory puts the optimum of the target from that which was found."""
    own = variant.parametrization
    family = OPTIMIZERS[variant.optimizer.name].family
    for axis, size in target.items():
        found = rate.width if axis is Axis.WIDTH else rate.depth
        known = expected_drift(axis, own.name, family, own.complete)
        if known is None or not known.slope or found in (None, size):
            continue
        if any(_is_said(one, rate, axis) for one in verdicts):
            continue
        octaves = known.slope * math.log2(size / found)
        yield (
            f"Theory expects the best learning rate of {own.title} to move by "
            f"{_signed(known.slope)} octaves per doubling of {axis.value} ({known.source}): from "
            f"{axis.value} {found}, where this one was found, to {size} by {_signed(octaves)} "
            f"octaves, to {rate.at(octaves):.2g}."
        )


def _is_said(verdict: Judged, rate: BaseRate, axis: Axis) -> bool:
    """Whether a measured drift already says where the optimum of the target lies."""
    if not isinstance(verdict, TransferJudgement) or verdict.verdict is not TransferVerdict.DRIFTS:
        return False
    return verdict.axis is axis and rate.drift_low is not None


def _signed(octaves: float) -> str:
    return f"{octaves:+.1f}".replace("-", "−")


def _of_size(spec: StudySpec, variant: Variant, width: int, depth: int) -> Iterator[str]:
    if width > FARTHEST * spec.widths[-1]:
        yield (
            f"Width {width} is {width / spec.widths[-1]:.3g} times the largest that was trained; "
            f"published checks of transfer go to {FARTHEST} times."
        )
    if spec.depths[0] <= depth <= spec.depths[-1]:
        return
    own = variant.parametrization
    knows = "the rule for depth was not tried there"
    lacks = "the learning rates have no rule for depth, and the best one may move with it"
    depths = ", ".join(map(str, spec.depths))
    yield (
        f"Depth {depth} lies outside the depths that were trained ({depths}). Of {own.title} "
        f"{knows if own.name in KNOWS_DEPTH else lacks}."
    )


def _of_outputs(spec: StudySpec, variant: Variant, width: int, depth: int) -> Iterator[str]:
    """Whether a rule depends on what does not grow: then the data decide, and must be alike."""
    own, model = variant.parametrization, variant.model
    size = Size(width, depth, spec.base_width or width, spec.base_depth or depth)
    readout = rules.dimensions(model.name, dict(model.options), size).get(rules.READOUT)
    if readout is None:
        return
    more = replace(readout, fan_out=2 * readout.fan_out, base_fan_out=2 * readout.base_fan_out)
    here, there = (
        rules.weight_rules(
            Choice(own.name, own.options), variant.optimizer.name, {rules.READOUT: dims}
        )
        for dims in (readout, more)
    )
    if here != there:
        yield (
            f"By this parametrization the numbers of the readout depend on its {readout.fan_out} "
            "outputs, as many as the study's data have: for another vocabulary make a study with "
            "such data."
        )
