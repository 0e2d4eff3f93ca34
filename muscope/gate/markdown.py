"""The summary for a pull request or a build's page: what failed, what may be wrong, all slopes."""

import html
from collections.abc import Iterable, Iterator, Sequence

from muscope.gate import sentences
from muscope.gate.checked import Checked
from muscope.gate.policy import judged_tensors
from muscope.reports import formats, slope_table
from muscope.reports.slope_table import Slot
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import TensorVerdict, VariantVerdict
from muscope.vocabulary import CellVerdict, Statistic, TensorKind

MOST_WORST, MOST_SUSPECTS = 8, 3
"""Rows and suspects of a variant in the open; all slopes are in the folded tables."""

LONGEST = 60_000
"""Characters; GitHub refuses a comment of more than 65 536."""

_SPECIAL = str.maketrans(
    {**{letter: f"\\{letter}" for letter in "\\`*_[]#|~"}, "@": "@\N{ZERO WIDTH SPACE}"}
)
_TABLES = (
    (TensorKind.ACTIVATION, Statistic.L1),
    (TensorKind.ACTIVATION, Statistic.CHANGE),
    (TensorKind.WEIGHT, Statistic.CONTRIBUTION),
)


def render(checked: Checked) -> str:
    """The whole summary; what is folded is left out where it would be too long."""
    head = [f"### {_headline(checked)}", "", *_lost(checked), *_of_comparison(checked)]
    parts = [_variant(checked, verdict) for verdict in checked.verdicts]
    parts += [(list(_rate(checked, judged)), []) for judged in checked.transfers]
    whole = "\n".join([*head, *(line for open_, folded in parts for line in (*open_, *folded))])
    if len(whole) <= LONGEST:
        return whole
    return "\n".join([*head, *(line for open_, _ in parts for line in open_)])[:LONGEST]


def _headline(checked: Checked) -> str:
    sign = "✅" if checked.has_passed else "❌"
    if checked.refused:
        return (
            f"{sign} muscope · {_safe(checked.name)} could not be judged: {_safe(checked.refused)}"
        )
    every: list[VariantVerdict | TransferJudgement] = [*checked.verdicts, *checked.transfers]
    failing: list[VariantVerdict | TransferJudgement] = []
    failing += [one for one in checked.verdicts if checked.policy.fails(one)]
    failing += [one for one in checked.transfers if checked.policy.fails_rate(one)]
    told = failing or every
    if len(told) == 1:
        said = told[0].sentence()
    elif failing:
        said = f"{len(failing)} of {len(every)} verdicts fail"
    elif checked.transfers:
        said = f"{len(every)} verdicts"
    else:
        said = f"{len(told)} variants judged"
    return f"{sign} muscope · {_safe(checked.name)}: {said}"


def _lost(checked: Checked) -> Iterator[str]:
    for lost in checked.lost:
        yield f"- ⚠️ not judged: {_safe(lost.sentence)}"
    for complaint in checked.complaints:
        yield f"- ❌ not as it should be: {_safe(complaint)}"
    if checked.lost or checked.complaints:
        yield ""


def _of_comparison(checked: Checked) -> Iterator[str]:
    comparison = checked.comparison
    if comparison is None:
        return
    sign = "❌" if comparison.is_worse else "✅"
    yield f"{sign} {sentences.of_comparison(comparison)}"
    yield ""
    for move in comparison.worse[:MOST_WORST]:
        yield f"- {_safe(sentences.of_move(move))}"
    for name in comparison.missing[:MOST_WORST]:
        yield f"- not measured now: {_safe(name)}"
    for words in comparison.unlike:
        yield f"- differs: {_safe(words)}"
    yield ""


def _variant(checked: Checked, verdict: VariantVerdict) -> tuple[list[str], list[str]]:
    """(what stands in the open, what is folded)."""
    sign = formats.sign(verdict.verdict)
    lines = [f"**{_safe(verdict.label)}** {sign} {verdict.sentence()}", ""]
    lines += _worst(checked, verdict)
    lines += _suspects(verdict)
    power = sentences.power(verdict)
    lines += [f"- power: {power}"] if power else []
    lines += [f"- {_safe(sentences.of_grid(verdict))}", ""]
    return lines, list(_folded(verdict))


def _rate(checked: Checked, judged: TransferJudgement) -> Iterator[str]:
    """The learning rate of a variant: its verdict, every optimum, and why it drifts if it does."""
    word = f"{formats.sign(judged.verdict)} {formats.words(judged.verdict)}"
    yield f"**{_safe(judged.label)}** {word}: {_safe(judged.sentence())}"
    yield ""
    rows = [
        (sentences.place(judged, one), sentences.of_optimum(judged, one)) for one in judged.optima
    ]
    yield from _table(("where", "best learning rate"), rows)
    yield ""
    for joined in (one for one in checked.joined if one.variant == judged.variant):
        yield f"- {_safe(joined.sentence)}"
        yield from (f"- {_safe(line)}" for line in sentences.of_reasons(joined))
    yield ""


def _suspects(verdict: VariantVerdict) -> Iterator[str]:
    """The likeliest faults with their evidence, and what would tell the first two apart."""
    diagnosis = verdict.diagnosis
    if diagnosis is None:
        return
    for number, suspect in enumerate(diagnosis.suspects[:MOST_SUSPECTS], start=1):
        because = f" {_safe('; '.join(suspect.evidence))}." if suspect.evidence else ""
        share = formats.share(suspect.score)
        yield f"{number}. **{_safe(suspect.title)}** ({share}).{because} Fix: {_safe(suspect.fix)}"
    if diagnosis.suspects:
        yield ""
    if diagnosis.suspects[1:] and diagnosis.separates:
        yield f"- to tell the first two apart: {_safe(diagnosis.separates)}"
    if diagnosis.note:
        yield f"- note: {_safe(diagnosis.note)}"


def _worst(checked: Checked, verdict: VariantVerdict) -> Iterator[str]:
    names = sentences.names(verdict)
    rows = [
        (names[number], tensor, checked.policy.reason(verdict, tensor) or tensor.worst)
        for number, tensor in enumerate(judged_tensors(verdict))
        if tensor.verdict not in (CellVerdict.FLAT, CellVerdict.ZERO)
        or checked.policy.reason(verdict, tensor)
    ]
    if not rows:
        return
    rows.sort(key=lambda row: (row[1].verdict is not verdict.verdict, -row[1].size()))
    found = [
        (name, _verdict(tensor), *_cell(tensor, verdict)) for name, tensor, _ in rows[:MOST_WORST]
    ]
    yield from _table(("tensor", "verdict", "by", "slope", "interval", "expected"), found)
    if len(rows) > MOST_WORST:
        yield ""
        yield f"… and {formats.plural(len(rows) - MOST_WORST, 'more tensor')}"
    yield ""


def _cell(tensor: TensorVerdict, verdict: VariantVerdict) -> tuple[str, str, str, str]:
    cell = tensor.worst
    if cell is None:
        return ("", "", "", "")
    statistic = sentences.NAMES.get(cell.statistic, cell.statistic.value)
    interval = sentences.interval(cell, verdict.confidence).strip()
    expected = formats.exponent(cell.expected)
    return (f"{statistic}, step {cell.step}", formats.slope(cell.slope), interval, expected)


def _verdict(tensor: TensorVerdict) -> str:
    return f"{formats.sign(tensor.verdict)} {tensor.verdict.value}"


def _folded(verdict: VariantVerdict) -> Iterator[str]:
    yield f"<details><summary>All slopes of {html.escape(verdict.label)}</summary>"
    yield ""
    for kind, statistic in _TABLES:
        table = slope_table.slope_table(verdict, statistic, kind)
        if not table.steps or not table.rows:
            continue
        yield f"{formats.statistic_title(statistic, kind).capitalize()}, by step"
        yield ""
        rows = [
            (
                f"{row.tensor} {row.held}".strip(),
                row.role.value.replace("_", " "),
                *map(_slot, row.slots),
                row.verdict.value if row.verdict else "shown, not judged",
            )
            for row in table.rows
        ]
        header = ("tensor", "role", *map(str, table.steps), "the tensor")
        yield from _table(header, rows)
        yield ""
        yield from (f"({number}) legal: {note}" for number, note in enumerate(table.notes, 1))
        yield ""
    yield "</details>"
    yield ""


def _slot(slot: Slot) -> str:
    if slot.cell is None:
        return ""
    if slot.cell.slope is None:
        return formats.sign(slot.cell.verdict)
    note = f" ({slot.note})" if slot.note else formats.sign(slot.cell.verdict)
    return f"{formats.slope(slot.cell.slope)}{note}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{' --- |' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(map(_safe, row))} |"


def _safe(text: str) -> str:
    """Names are the user's: no mark-up, no mentions, one line."""
    return html.escape(" ".join(text.split()), quote=False).translate(_SPECIAL)
