"""JUnit XML, as build servers read it: a suite per variant, a case per tensor and one for itself.

A learning-rate study has a suite per variant too, with a case for every optimum.

Elements and attributes are those of the schema that Jenkins and GitLab share. A tensor fails by
the words of `--fail-on`; without them nothing fails. *Inconclusive* that does not fail is skipped:
not judged is not passed. A size that could not be run is an error.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from pydantic import JsonValue

from muscope.gate import sentences
from muscope.gate.checked import Checked
from muscope.gate.policy import judged_tensors
from muscope.reports import formats
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import Cell, TensorVerdict, VariantVerdict
from muscope.vocabulary import CellVerdict, TransferVerdict

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no way to write."""


def render(checked: Checked, at: datetime | None = None) -> str:
    """The file; `at` is when the check was made, now unless told."""
    moment = (at or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%S")
    root = Element("testsuites", name="muscope")
    # the time of a check is that of all its variants together
    seconds = checked.seconds / max(1, len(checked.verdicts) + len(checked.transfers))
    for verdict in checked.verdicts:
        suite = SubElement(root, "testsuite", name=_clean(verdict.label), timestamp=moment)
        grid, power = sentences.of_grid(verdict), sentences.power(verdict)
        _properties(suite, {**checked.settings, "grid": grid, "power": power})
        _cases(suite, checked, verdict, seconds)
        _count(suite, seconds)
    for judged in checked.transfers:
        suite = SubElement(root, "testsuite", name=_clean(judged.label), timestamp=moment)
        _rate_cases(suite, checked, judged, seconds)
        _count(suite, seconds)
    if checked.refused or checked.lost or checked.comparison or checked.complaints:
        suite = SubElement(root, "testsuite", name=_clean(checked.name), timestamp=moment)
        _of_the_check(suite, checked)
        _count(suite, 0.0)
    _sum_up(root)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode", xml_declaration=False)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _properties(suite: Element, said: Mapping[str, JsonValue]) -> None:
    held = SubElement(suite, "properties")
    for name, value in said.items():
        if isinstance(value, str | int | float) and value != "":
            SubElement(held, "property", name=name, value=_clean(str(value)))


def _cases(suite: Element, checked: Checked, verdict: VariantVerdict, seconds: float) -> None:
    whole = _case(suite, verdict.label, "all tensors", seconds)
    if checked.policy.fails(verdict):
        lines = [*sentences.of_failures(verdict, checked.policy), *sentences.of_diagnosis(verdict)]
        _say(whole, "failure", verdict.sentence(), verdict.verdict.value, "\n".join(lines))
    names = sentences.names(verdict)
    for number, tensor in enumerate(judged_tensors(verdict)):
        case = _case(suite, verdict.label, names[number], 0.0)
        _tensor(case, checked, verdict, tensor)


def _rate_cases(
    suite: Element, checked: Checked, judged: TransferJudgement, seconds: float
) -> None:
    """A case for the learning rate as a whole, and one for its optimum at every place."""
    _properties(suite, checked.settings)
    word, is_open = judged.verdict, TransferVerdict.NOT_BRACKETED.value
    reasons = [one for one in checked.joined if one.variant == judged.variant]
    whole = _case(suite, judged.label, "learning rate", seconds)
    if checked.policy.fails_rate(judged):
        lines = [
            *sentences.of_rate(judged),
            *(r for one in reasons for r in sentences.of_reasons(one)),
        ]
        _say(whole, "failure", judged.sentence(), word.value, "\n".join(lines))
    elif word in (TransferVerdict.INCONCLUSIVE, TransferVerdict.NOT_BRACKETED):
        SubElement(whole, "skipped", message=_clean(judged.sentence()))
    for one in judged.optima:
        name = f"learning rate at {sentences.place(judged, one)}"
        case, said = _case(suite, judged.label, name, 0.0), sentences.of_optimum(judged, one)
        if not one.is_bracketed and is_open in checked.policy.words:
            _say(case, "failure", said, is_open, said)
        elif not one.is_bracketed:
            SubElement(case, "skipped", message=_clean(said))


def _tensor(
    case: Element, checked: Checked, verdict: VariantVerdict, tensor: TensorVerdict
) -> None:
    cell = checked.policy.reason(verdict, tensor)
    if cell is None and tensor.verdict in checked.policy.words:
        _say(case, "failure", tensor.verdict.value, tensor.verdict.value, "")
    elif cell is not None:
        message = sentences.of_tensor(tensor, cell, verdict.confidence)
        lines = [*_every(verdict, tensor, cell), *sentences.of_diagnosis(verdict)]
        _say(case, "failure", message, tensor.verdict.value, "\n".join(lines))
    elif tensor.verdict is CellVerdict.INCONCLUSIVE:
        worst = sentences.of_tensor(tensor, tensor.worst, verdict.confidence)
        SubElement(case, "skipped", message=_clean(worst))


def _every(verdict: VariantVerdict, tensor: TensorVerdict, cell: Cell) -> Iterator[str]:
    """The slopes of the same statistic at every step."""
    for other in verdict.cells_on(tensor.axis):
        same = (other.tensor, other.kind, other.depth) == (cell.tensor, cell.kind, cell.depth)
        if same and other.statistic is cell.statistic:
            yield f"{sentences.of_cell(other, verdict.confidence)} ({other.verdict.value})"


def _of_the_check(suite: Element, checked: Checked) -> None:
    if checked.refused:
        case = _case(suite, checked.name, "check", 0.0)
        _say(case, "error", checked.refused, "refused", checked.refused)
    for lost in checked.lost:
        case = _case(suite, checked.name, lost.place, 0.0)
        _say(case, "error", lost.sentence, "not judged", lost.sentence)
    for complaint in checked.complaints:
        _say(_case(suite, checked.name, "demo", 0.0), "failure", complaint, "demo", complaint)
    if comparison := checked.comparison:
        case = _case(suite, checked.name, "baseline", 0.0)
        lines = [*map(sentences.of_move, comparison.worse), *comparison.missing]
        if comparison.is_worse:
            message = sentences.of_comparison(comparison)
            _say(case, "failure", message, "worse", "\n".join(lines))


def _case(suite: Element, classname: str, name: str, seconds: float) -> Element:
    words = {"classname": _clean(f"muscope.{_dotless(classname)}"), "name": _clean(name)}
    return SubElement(suite, "testcase", {**words, "time": f"{seconds:.3f}"})


def _dotless(label: str) -> str:
    """Build servers read dots as packages: `my_model.py:build · µP` is one."""
    return label.replace(".", "_")


def _say(case: Element, kind: str, message: str, word: str, text: str) -> None:
    said = SubElement(case, kind, message=_clean(message), type=formats.words(word))
    said.text = _clean(text)


def _count(suite: Element, seconds: float) -> None:
    cases = suite.findall("testcase")
    suite.set("tests", str(len(cases)))
    for kind, attribute in (("failure", "failures"), ("error", "errors"), ("skipped", "skipped")):
        suite.set(attribute, str(sum(case.find(kind) is not None for case in cases)))
    suite.set("time", f"{seconds:.3f}")


def _sum_up(root: Element) -> None:
    for attribute in ("tests", "failures", "errors"):
        root.set(attribute, str(sum(int(suite.get(attribute, 0)) for suite in root)))
    root.set("time", f"{sum(float(suite.get('time', 0)) for suite in root):.3f}")


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("�", text)
