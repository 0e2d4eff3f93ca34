"""The report as a file that stands alone, and the CSV that holds what the charts show."""

import base64
import csv
import hashlib
import io
import math
import re
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from muscope.plots import coordinate_check
from muscope.records import Sample, Values
from muscope.reports import card, formats, html, slope_table, templating
from muscope.reports import csv as report_csv
from muscope.reports.html import ReportInput, ReportRun
from muscope.vocabulary import Axis, Role, RunState, Statistic, TensorKind
from tests.server import measured

SPEC = measured.small("Report & <more>")


def grid() -> list[Sample]:
    """A measurement for every place of the grid, all different."""
    return [
        Sample(
            variant=variant.key, width=width, depth=1, seed=seed, step=step, tensor=tensor,
            role=role, kind=TensorKind.ACTIVATION,
            values=Values(width**0.5 + seed / 3, 1.0, None if step == 0 else width / 7 + seed),
        )
        for variant in SPEC.variants
        for width in SPEC.widths
        for seed in range(SPEC.seeds)
        for step in range(SPEC.steps + 1)
        for tensor, role in (("input", Role.EMBEDDING), ("readout", Role.OUTPUT))
    ]  # fmt: skip


@pytest.fixture(scope="module")
def rendered() -> str:
    run = ReportRun(SPEC.variants[0].key, 64, 1, 0, RunState.DIVERGED, note="not finite </script>")
    return html.render(
        ReportInput(
            spec=SPEC,
            verdicts=[measured.judged(variant) for variant in SPEC.variants],
            samples=grid(),
            runs=[run],
            environment={"torch": "2.13.0", "device": "cpu"},
            created_at=datetime(2026, 7, 1, tzinfo=UTC),
        )
    )


def test_the_report_holds_everything_from_the_question_to_the_spec(rendered: str) -> None:
    for part in (
        "Question", "grows in 3 of 3 tensors", "Coordinate check", "Slopes",
        "90\N{NO-BREAK SPACE}% interval",
        "How the verdict is computed", "Runs", "diverged", "2.13.0", "learning_rate: 0.1",
        "Report &amp; &lt;more&gt;",
    ):  # fmt: skip
        assert part in rendered
    figures = len(SPEC.variants) * len(html.shown(SPEC))
    assert rendered.count('type="application/json"') == figures


def test_the_report_allows_exactly_its_own_script_and_style_by_hash(rendered: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', rendered)
    assert policy
    allowed = set(re.findall(r"'(sha256-[^']*)'", policy[1].replace("&#39;", "'")))
    inside = re.findall(
        r'<(?:script|script type="module"|style[^>]*)>(.*?)</(?:script|style)>', rendered, re.S
    )
    assert {_hash(text) for text in inside} == allowed
    assert "unsafe" not in policy[1]


def test_the_report_refers_to_nothing_outside_itself(rendered: str) -> None:
    markup = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", rendered, flags=re.S)
    assert not re.search(r"\b(src|href|action)=", markup)


def test_text_cannot_end_a_script_or_an_element(rendered: str) -> None:
    assert "not finite &lt;/script&gt;" in rendered
    assert len(re.findall(r"<script\b", rendered)) == len(re.findall(r"</script>", rendered))


def test_the_points_of_a_chart_can_be_computed_from_the_csv() -> None:
    rows = list(csv.DictReader(io.StringIO("".join(report_csv.lines(map(report_csv.row, grid()))))))
    variant = SPEC.variants[1].key
    samples = [sample for sample in grid() if sample.variant == variant]
    for statistic in (Statistic.L1, Statistic.CHANGE):
        found: dict[tuple[str, str, str], list[float]] = defaultdict(list)
        for row in rows:
            if row["variant"] == variant and row[statistic]:
                found[row["step"], row["tensor"], row["width"]].append(float(row[statistic]))
        info = coordinate_check.info(samples, None, statistic, spec=SPEC)
        shown = {
            (str(panel.step), line.tensor, str(point.at)): point.mean
            for panel in info.panels
            for line in panel.lines
            for point in line.points
        }
        assert shown == pytest.approx({key: sum(v) / len(v) for key, v in found.items()})


@pytest.mark.parametrize("start", report_csv.RISKY_STARTS)
def test_text_that_a_spreadsheet_would_run_is_quoted(start: str) -> None:
    (cells,) = csv.reader(io.StringIO(report_csv.line([f"{start}1+1", "plain"])))
    assert cells == [f"'{start}1+1", "plain"]


def test_numbers_stay_numbers_whatever_their_sign_and_size() -> None:
    (cells,) = csv.reader(io.StringIO(report_csv.line([-1.5, math.inf, math.nan, 5e-324, None])))
    assert cells == ["-1.5", "inf", "nan", "5e-324", ""]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (formats.slope(-0.004), "0.00"), (formats.slope(-0.125), "−0.12"),
        (formats.slope(None), "–"), (formats.exponent(0.5), "+½"), (formats.exponent(-1.5), "−1½"),
        (formats.quantity(6_590_000), "6.59 M"), (formats.quantity(12), "12"),
        (formats.size(3 * 2**30), "3 GiB"), (formats.duration(125), "2 min 5 s"),
        (formats.duration(59.96), "1 min 0 s"), (formats.decimal(math.nan), "not a number"),
        (formats.decimal(-math.inf), "−∞"), (formats.plural(1, "run"), "1 run"),
    ],
)  # fmt: skip
def test_numbers_are_written_as_a_person_reads_them(shown: str, expected: str) -> None:
    assert shown == expected


def test_a_card_is_firm_only_when_everything_planned_was_judged() -> None:
    variant = SPEC.variants[0]
    whole = measured.judged(variant)
    part = measured.judged(variant, final=False, runs=4, widths=(64, 128))
    assert card.standing(whole, is_over=True) == ""
    assert card.standing(part, is_over=False) == "so far"
    said = card.standing(part, is_over=True)
    assert said == "incomplete: 4 of 8 runs judged, widths 64, 128"


def test_the_cell_that_decides_is_marked_and_named_in_whatever_statistic_is_shown() -> None:
    verdict = measured.judged(SPEC.variants[0])
    change = slope_table.slope_table(verdict, Statistic.CHANGE)
    size = slope_table.slope_table(verdict, Statistic.L1)
    for shown, hidden in zip(change.rows, size.rows, strict=True):
        assert [slot.decides for slot in shown.slots] == [False, True]
        assert not any(slot.decides for slot in hidden.slots)
        assert shown.decided_by == hidden.decided_by == "change, step 2"
    flat = slope_table.slope_table(measured.judged(SPEC.variants[1]), Statistic.CHANGE)
    assert not any(slot.decides for row in flat.rows for slot in row.slots)
    assert {row.decided_by for row in flat.rows} == {""}


def test_text_between_backticks_is_code_and_nothing_else_is_markup() -> None:
    assert templating.code("say `a<b>` & <go>") == "say <code>a&lt;b&gt;</code> &amp; &lt;go&gt;"
    assert templating.code("plain") == "plain"


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_a_report_on_several_depths_draws_and_tabulates_them_too() -> None:
    spec = SPEC.model_copy(update={"depths": (1, 2)})
    deep = ReportInput(
        spec=spec,
        verdicts=[],
        samples=[replace(one, depth=depth) for one in grid() for depth in (1, 2)],
        runs=[],
        environment={},
        created_at=datetime(2026, 7, 1, tzinfo=UTC),
    )
    charts = html.drawn_charts(deep)
    assert {chart.axis for chart in charts} == {Axis.WIDTH, Axis.DEPTH}
    of_depth = [chart for chart in charts if chart.axis is Axis.DEPTH]
    assert all(chart.summary.startswith("2 tensors at 2 depths from 1 to 2") for chart in of_depth)
    assert "over depth" in html.render(deep)


def test_a_note_keeps_its_width_and_a_device_its_line(rendered: str) -> None:
    assert "<td class=note>not finite &lt;/script&gt;</td>" in rendered
    assert "td.note { min-width: 24em; }" in rendered
