"""Lines that GitHub Actions turns into annotations at the user's function."""

from collections.abc import Iterator

from muscope.gate import sentences
from muscope.gate.checked import Checked
from muscope.verdicts.types import VariantVerdict

MOST = 10
"""Annotations of a kind that GitHub shows per step."""


def lines(checked: Checked) -> Iterator[str]:
    """`::error file=…,line=…,title=…::…` for what fails, the worst tensors first."""
    found = [
        (verdict.label, line)
        for verdict in checked.verdicts
        if checked.policy.fails(verdict)
        for line in _of(checked, verdict)
    ]
    found += [
        (judged.label, line)
        for judged in checked.transfers
        if checked.policy.fails_rate(judged)
        for line in sentences.of_rate(judged)
    ]
    found += [(checked.name, f"not judged: {lost.sentence}") for lost in checked.lost]
    found += [(checked.name, checked.refused)] if checked.refused else []
    if checked.comparison and checked.comparison.is_worse:
        worse = [*map(sentences.of_move, checked.comparison.worse)]
        found += [("worse than the baseline", line) for line in worse or checked.comparison.missing]
    for title, text in found[:MOST]:
        yield f"::error {_place(checked)}title={_value(f'muscope · {title}')}::{_text(text)}"


def _of(checked: Checked, verdict: VariantVerdict) -> Iterator[str]:
    suspect = next(iter(sentences.of_diagnosis(verdict)), "")
    for line in sentences.of_failures(verdict, checked.policy):
        yield f"{line}; {suspect}" if suspect else line


def _place(checked: Checked) -> str:
    if checked.source is None:
        return ""
    line = f",line={checked.source.line}" if checked.source.line else ""
    return f"file={_value(checked.source.file)}{line},"


def _text(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _value(text: str) -> str:
    return _text(text).replace(":", "%3A").replace(",", "%2C")
