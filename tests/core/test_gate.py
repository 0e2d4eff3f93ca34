"""What a build is told: when a check fails, and that every form of saying so can be read."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest

from muscope.gate import Checked, Lost, Policy, Source, annotations, junit, markdown
from muscope.gate.policy import SURE, UNSTABLE
from muscope.verdicts import baseline
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict
from tests.core import verdicts
from tests.core.verdicts import cell

FLAT = verdicts.verdict(cell("input", 0.0), cell("hidden", 0.01))
GROWS = verdicts.verdict(
    cell("input", 0.0), cell("hidden", 0.9), diagnosis=verdicts.suspicion(), label="broken"
)
WIDE = verdicts.verdict(cell("input", 0.0), cell("hidden", 0.05, 0.3))
BOTH = verdicts.verdict(cell("a", 0.9), cell("b", -0.9))


def checked(
    *judged: VariantVerdict, words: str | Iterable[str] = UNSTABLE, lost: tuple[Lost, ...] = ()
) -> Checked:
    return Checked(
        name="my_model.py:build",
        verdicts=judged,
        policy=Policy.of(words),
        settings={"widths": [64, 128, 256], "steps": 1, "target": "my_model.py:build"},
        seconds=12.5,
        lost=lost,
        source=Source("my_model.py", 7),
    )


@pytest.mark.parametrize(
    ("judged", "words", "code"),
    [
        (FLAT, SURE, 0),
        (FLAT, "theory", 0),
        (GROWS, "grows", 1),
        (GROWS, "shrinks,diverged", 0),
        (GROWS, "theory", 1),
        (GROWS, "", 0),
        (WIDE, UNSTABLE, 0),
        (WIDE, SURE, 1),
        (BOTH, "shrinks", 1),  # though the variant's own verdict is that it grows
        (verdicts.verdict(), "grows", 1),  # nothing measured is nothing passed
    ],
)
def test_a_check_fails_by_the_verdict_of_any_tensor(
    judged: VariantVerdict, words: str | Iterable[str], code: int
) -> None:
    assert checked(judged, words=words).exit_code == code


def test_a_size_that_could_not_be_run_fails_a_gate_and_nothing_else() -> None:
    lost = (Lost("width 512", "width 512 needs more memory than there is"),)
    assert checked(FLAT, lost=lost).exit_code == 1
    assert checked(FLAT, words="", lost=lost).exit_code == 0


def test_unknown_words_are_refused_with_all_that_there_are() -> None:
    with pytest.raises(ValueError, match=r"knows grows, shrinks, .* theory; got 'explodes'"):
        Policy.of("grows,explodes")


ALLOWED = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"failure", "error", "skipped"},
}


def assert_is_junit(element: Element) -> None:
    """Only elements and attributes of the schema of Jenkins, in its order, with its counts."""
    assert set(element.keys()) <= ALLOWED[element.tag]
    assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
    if element.tag == "testsuite":
        cases = element.findall("testcase")
        assert [child.tag for child in element] == sorted(child.tag for child in element)
        assert int(element.get("tests", "")) == len(cases)
        for kind in ("failure", "error", "skipped"):
            attribute = kind if kind == "skipped" else f"{kind}s"
            assert int(element.get(attribute, "")) == len(element.findall(f"testcase/{kind}"))
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", element.get("timestamp", ""))
    if element.tag == "testcase":
        assert len(element) <= 1
        assert float(element.get("time", "")) >= 0
    for child in element:
        assert_is_junit(child)


def read(told: Checked) -> Element:
    return ElementTree.fromstring(junit.render(told, at=datetime(2026, 5, 1, tzinfo=UTC)))


def test_junit_has_a_case_per_tensor_and_one_for_the_variant() -> None:
    lost = (Lost("width 512", "width 512 needs more memory than there is"),)
    root = read(checked(GROWS, FLAT, WIDE, lost=lost))
    assert_is_junit(root)
    suites = {suite.get("name"): suite for suite in root}
    assert [case.get("name") for case in suites["broken"].iter("testcase")] == [
        "all tensors",
        "input",
        "hidden",
    ]
    failure = suites["broken"].find("testcase[@name='hidden']/failure")
    assert failure is not None
    said = f"{failure.get('message')} {failure.text}"
    assert "grows: change at step 1: slope +0.90 [+0.88, +0.92] at 90 %" in said
    assert "first suspect: hidden learning rate not scaled" in said
    assert "fix: hidden: learning rate ∕ m" in said
    error = root.find("testsuite/testcase[@name='width 512']/error")
    assert error is not None
    assert error.get("message") == "width 512 needs more memory than there is"
    assert len(root.findall("testsuite/testcase/skipped")) == 1  # the inconclusive tensor
    assert sum(float(suite.get("time", "")) for suite in root) == pytest.approx(12.5, abs=0.01)


def test_names_with_what_xml_cannot_hold_are_still_xml() -> None:
    odd = verdicts.verdict(cell('a<b>&"c"\x00\x1b[31m|`*', 0.9))
    root = read(checked(odd, words="grows"))
    assert_is_junit(root)
    assert root.find("testsuite/testcase/failure") is not None


def test_the_summary_opens_with_the_verdict_and_folds_all_slopes() -> None:
    text = markdown.render(checked(GROWS))
    lines = text.splitlines()
    assert lines[0] == "### ❌ muscope · my\\_model.py:build: grows in 1 of 2 tensors"
    assert "| hidden | ↗ grows | change, step 1 | +0.90 | \\[+0.88, +0.92\\] at 90 % | 0 |" in lines
    assert (
        "1. **hidden learning rate not scaled** (70 %). the change of hidden grows as n^+1.0. "
        "Fix: hidden: learning rate ∕ m"
    ) in lines
    assert "- to tell the first two apart: two more widths" in lines
    assert "- power: slopes of ±0.12 and more can be told from flat in every tensor" in lines
    assert text.index("<details>") > text.index("power")
    assert markdown.render(checked(FLAT)).startswith("### ✅")


def test_names_are_no_markup_in_the_summary() -> None:
    text = markdown.render(checked(verdicts.verdict(cell("a|b<script>@team `x` [y](z)", 0.9))))
    rows = [line for line in text.splitlines() if line.startswith("| a")]
    columns = [len(re.findall(r"(?<!\\)\|", row)) - 1 for row in rows]
    assert columns == [6, 4]  # of the open table and of the folded one
    assert "<script>" not in text
    assert "@team" not in text
    assert "](z)" not in text.replace("\\](z)", "")


def test_a_summary_is_never_longer_than_a_comment_may_be() -> None:
    many = verdicts.verdict(*(cell(f"blocks.{number}.attention.out", 0.9) for number in range(900)))
    text = markdown.render(checked(many))
    assert len(text) < 65_536
    assert "grows in 900 of 900 tensors" in text


def test_annotations_point_at_the_function_and_are_one_line_each() -> None:
    (line,) = annotations.lines(checked(GROWS))
    assert line.startswith("::error file=my_model.py,line=7,title=muscope · broken::hidden grows:")
    assert "90 %25" in line
    assert "\n" not in line
    assert list(annotations.lines(checked(FLAT))) == []


def test_worse_than_the_baseline_is_an_exit_code_of_its_own() -> None:
    def kept(judged: VariantVerdict) -> baseline.Baseline:
        return baseline.keep((judged,), {}, version="1", environment={})

    now = verdicts.verdict(cell("input", 0.0), cell("hidden", 0.09))
    found = baseline.compare(kept(FLAT), kept(now))
    told = Checked(
        name="x", verdicts=(now,), policy=Policy.of(""), settings={}, seconds=1.0, comparison=found
    )
    assert told.exit_code == 3
    assert_is_junit(read(told))
    assert "worse than the baseline in 1 tensor" in markdown.render(told)
    assert "change of hidden at step 1: +0.01 [" in next(annotations.lines(told))
    assert now.tensors[1].verdict is CellVerdict.INCONCLUSIVE  # which alone would have passed
