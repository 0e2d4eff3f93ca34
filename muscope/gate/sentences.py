"""What is wrong, in sentences with numbers: failures, summaries and exceptions all say these."""

from collections.abc import Iterator

from muscope.gate.policy import Policy, judged_tensors
from muscope.reports import formats
from muscope.verdicts.baseline import Comparison, KeptSlope, Move
from muscope.verdicts.joined.types import Joined
from muscope.verdicts.transfer.types import TransferJudgement, WidthOptimum
from muscope.verdicts.transfer.words import at
from muscope.verdicts.types import Cell, TensorVerdict, VariantVerdict
from muscope.vocabulary import Axis, CellVerdict, Statistic, TensorKind

NAMES = {Statistic.L1: "size", Statistic.CHANGE: "change", Statistic.CONTRIBUTION: "contribution"}


def name(tensor: TensorVerdict, *, several_depths: bool) -> str:
    """`blocks.0.attn`, with its kind unless it is an activation, and where it was measured."""
    words = [tensor.tensor]
    if tensor.kind is not TensorKind.ACTIVATION:
        words.append(f"({tensor.kind.value})")
    if tensor.axis is not Axis.WIDTH:
        words.append(f"over {formats.words(tensor.axis.value)}")
    elif several_depths:
        words.append(f"depth {tensor.depth}")
    return " ".join(words)


def names(verdict: VariantVerdict) -> dict[int, str]:
    """The name of every judged tensor, by its place in the order they are judged in."""
    tensors = judged_tensors(verdict)
    several = len({t.depth for t in tensors if t.axis is Axis.WIDTH}) > 1
    return {number: name(t, several_depths=several) for number, t in enumerate(tensors)}


def of_cell(cell: Cell, confidence: float) -> str:
    """`change at step 2: slope +0.52 [+0.48, +0.56] at 90 %, flat is within ±0.10`."""
    statistic = NAMES.get(cell.statistic, cell.statistic.value)
    return f"{statistic} at step {cell.step}: {of_slope(cell, confidence)}"


def of_slope(cell: Cell, confidence: float) -> str:
    """The slope with its interval, its tolerance, and what theory expects where it disagrees."""
    if cell.slope is None:
        return "not a number" if cell.verdict is CellVerdict.DIVERGED else "nothing to fit"
    said = f"slope {formats.slope(cell.slope)}{interval(cell, confidence)}"
    if cell.is_against_theory and cell.expected:
        said += f", theory expects {formats.exponent(cell.expected)}"
    return f"{said}, flat is within ±{cell.tolerance:.2f}"


def interval(cell: Cell | KeptSlope, confidence: float) -> str:
    """` [+0.48, +0.56] at 90 %`, or that one seed has none."""
    if cell.low is None or cell.high is None:
        return " (no interval)"
    low, high = formats.slope(cell.low), formats.slope(cell.high)
    return f" [{low}, {high}] at {formats.confidence(confidence)}"


def of_tensor(tensor: TensorVerdict, cell: Cell | None, confidence: float) -> str:
    """What became of a tensor, by the cell that decides."""
    word = tensor.verdict.value
    if tensor.axis is not Axis.WIDTH:
        word += f" with {formats.words(tensor.axis.value)}"
    return f"{word}: {of_cell(cell, confidence)}" if cell else word


def of_failures(verdict: VariantVerdict, policy: Policy) -> Iterator[str]:
    """A line for every tensor that fails, those of the variant's own verdict first."""
    failing = [
        (number, tensor, policy.reason(verdict, tensor))
        for number, tensor in enumerate(judged_tensors(verdict))
    ]
    found = names(verdict)
    rows = [(number, t, cell) for number, t, cell in failing if cell]
    rows.sort(key=lambda row: (row[1].verdict is not verdict.verdict, -row[1].size()))
    for number, tensor, cell in rows:
        yield f"{found[number]} {of_tensor(tensor, cell, verdict.confidence)}"


def of_diagnosis(verdict: VariantVerdict) -> Iterator[str]:
    """The first suspect with its evidence and fix, what would separate it, and the note."""
    diagnosis = verdict.diagnosis
    if diagnosis is None:
        return
    for suspect in diagnosis.suspects[:1]:
        because = f": {'; '.join(suspect.evidence)}" if suspect.evidence else ""
        yield f"first suspect: {suspect.title}{because}"
        yield f"fix: {suspect.fix}"
    if diagnosis.suspects[1:] and diagnosis.separates:
        yield f"to tell it from {diagnosis.suspects[1].title}: {diagnosis.separates}"
    if diagnosis.note:
        yield f"note: {diagnosis.note}"


def of_rate(judged: TransferJudgement) -> Iterator[str]:
    """What makes a learning rate fail: its verdict, then every place without an optimum."""
    yield f"{formats.words(judged.verdict)}: {judged.sentence()}"
    for one in judged.optima:
        if not one.is_bracketed:
            yield f"{place(judged, one)}: {of_optimum(judged, one)}"


def place(judged: TransferJudgement, one: WidthOptimum) -> str:
    """`width 64`, `width 64, depth 4`: on all axes that the study varies."""
    return ", ".join(at(axis, one.on(axis)) for axis in judged.axes)


def of_optimum(judged: TransferJudgement, one: WidthOptimum) -> str:
    """`best log2(rate) −7.25 [−7.40, −7.10] at 90 %`, or why there is none."""
    if one.optimum is None:
        side = f": no {one.missing_side} rate was tried" if one.missing_side else ""
        return f"not bracketed{side}"
    found = f"best log2(rate) {formats.slope(judged.log2_rate(one.optimum))}"
    if one.low is None or one.high is None:
        return f"{found} (no interval)"
    low, high = (formats.slope(judged.log2_rate(octave)) for octave in (one.low, one.high))
    return f"{found} [{low}, {high}] at 90 %"


def of_reasons(joined: Joined) -> Iterator[str]:
    """Every known reason that applies, with its numbers and what to do."""
    for reason in joined.reasons:
        yield f"{reason.title}: {reason.evidence}. Do: {reason.advice} ({reason.source})"


def power(verdict: VariantVerdict) -> str | None:
    """What this grid could have seen, whatever came out; None where nothing has an interval."""
    if told := verdict.power():
        return told
    least = [
        cell.smallest_detectable
        for cell in verdict.judged()
        if cell.decides and cell.counts and cell.smallest_detectable is not None
    ]
    if not least:
        return None
    return f"slopes of ±{max(least):.2f} and more can be told from flat in every tensor"


def of_grid(verdict: VariantVerdict) -> str:
    """`widths 64, 128, 256 · 5 seeds · 15 of 15 runs`."""
    widths = sorted({width for cell in verdict.cells for width in cell.widths})
    seeds = max((cell.seeds for cell in verdict.cells), default=0)
    runs = f"{verdict.runs_judged} of {formats.plural(verdict.runs_planned, 'run')}"
    return f"widths {', '.join(map(str, widths))} · {formats.plural(seeds, 'seed')} · {runs}"


def of_move(move: Move, confidence: float = 0.9) -> str:
    """`change of hidden at step 2: +0.02 [−0.01, +0.05] → +0.31 [+0.28, +0.34], p < 0.001`."""
    now, before = move.now, move.before
    statistic = NAMES.get(now.statistic, now.statistic.value)
    slopes = " → ".join(_kept(slope) for slope in (before, now))
    chance = "" if move.chance is None else f", {_chance(move.chance)}"
    return f"{statistic} of {now.tensor} at step {now.step}: {slopes}{chance}"


def _kept(slope: KeptSlope) -> str:
    if slope.slope is None:
        return slope.verdict.value
    if slope.low is None or slope.high is None:
        return f"{formats.slope(slope.slope)} (one seed: no test)"
    return f"{formats.slope(slope.slope)} [{formats.slope(slope.low)}, {formats.slope(slope.high)}]"


def _chance(value: float) -> str:
    return "p < 0.001" if value < 0.001 else f"p = {value:.3f}"


def of_comparison(comparison: Comparison) -> str:
    """What a comparison with a baseline came to, in a sentence."""
    if comparison.missing:
        gone = formats.plural(len(comparison.missing), "tensor")
        return f"{gone} of the baseline not measured now: write a new one if that is meant"
    slopes = formats.plural(comparison.compared, "slope")
    if comparison.worse:
        tensors = len({(move.label, move.now.tensor) for move in comparison.worse})
        return f"worse than the baseline in {formats.plural(tensors, 'tensor')} ({slopes} compared)"
    return f"no worse than the baseline ({slopes} compared)"
