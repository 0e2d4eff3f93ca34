"""What a study's page shows, tab by tab: rows of the database become a context."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection

from muscope import plan
from muscope.plots import coordinate_check
from muscope.plots.coordinate_check import CoordinateCheckInfo
from muscope.reports import card, html, slope_table
from muscope.reports.html import Chart, Content, ReportInput, ReportRun
from muscope.spec import RunSpec
from muscope.storage import attempts, measurements, studies, verdicts, workers
from muscope.storage.studies import RunRow, StudyRow
from muscope.storage.verdicts import VerdictSummary
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import RunState, Statistic, StudyState
from muscope_server import urls
from muscope_server.contexts import Badge, Header, StudyContext, StudyLine

ALIVE_S = 30.0
"""A worker that was not heard of for so long is called silent; its lease has expired too."""

TABS = {
    "verdict": "Verdict",
    "coordinate-check": "Coordinate check",
    "runs": "Runs",
    "report": "Report",
}
STATISTICS = (Statistic.L1, Statistic.CHANGE, Statistic.RMS)
"""The two that decide verdicts first."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of the page that can be fetched alone, and the tab it belongs to."""

    template: str
    tab: str


PARTS = {
    "": Part("study.html", ""),
    "header": Part("_study_header.html", "header"),
    "verdict": Part("_verdict_tab.html", "verdict"),
    "runs": Part("_runs_tab.html", "runs"),
}


@dataclass(frozen=True, slots=True)
class View:
    """What the reader chose to see; all of it is in the URL."""

    tab: str
    statistic: Statistic
    tensor: str


def line(row: StudyRow, summaries: list[VerdictSummary]) -> StudyLine:
    """A study in the list of studies, with one badge per variant."""
    judged = {summary.variant: summary for summary in summaries}
    return StudyLine(
        id=row.id,
        name=row.name,
        badges=[
            Badge(
                label=variant.label,
                verdict=judged[variant.key].verdict if variant.key in judged else None,
                final=variant.key in judged and judged[variant.key].final,
            )
            for variant in row.spec.variants
        ],
        state=row.state,
        runs_ended=ended(row),
        runs=row.runs,
        created_at=row.created_at,
    )


def ended(row: StudyRow) -> int:
    """How many runs have ended, however they did."""
    return sum(count for state, count in row.counts.items() if state.is_terminal)


def context(conn: Connection, row: StudyRow, view: View) -> StudyContext:
    """Everything that the open tab needs, and nothing that another would."""
    judged = verdicts.of_study(conn, row.id) if view.tab == "verdict" else []
    return StudyContext(
        study=header(conn, row),
        tabs=TABS,
        tab=view.tab,
        statistics=STATISTICS,
        statistic=view.statistic,
        tensor=view.tensor,
        tensors=_tensors(row) if view.tab == "coordinate-check" else (),
        cards=card.cards(row.spec, judged) if view.tab == "verdict" else (),
        tables=[slope_table.slope_table(entry, view.statistic) for entry in judged],
        tolerance=_tolerance(judged),
        charts=_charts(conn, row, view) if view.tab == "coordinate-check" else (),
        runs=_runs(conn, row) if view.tab == "runs" else (),
        labels=labels(row),
        content=_preview(conn, row) if view.tab == "report" else None,
    )


def header(conn: Connection, row: StudyRow) -> Header:
    """The head of the page: how far it is, and why it waits if it does."""
    failed = row.counts.get(RunState.FAILED, 0) + row.counts.get(RunState.OUT_OF_MEMORY, 0)
    seconds = None
    if row.started_at and row.ended_at:
        seconds = (row.ended_at - row.started_at).total_seconds()
    return Header(
        id=row.id,
        name=row.name,
        state=row.state,
        runs_ended=ended(row),
        runs=row.runs,
        failed=failed,
        event_seq=row.event_seq,
        created_at=row.created_at,
        seconds=seconds,
        waiting=_waiting(conn, row),
        training=_training(conn, row),
    )


def report_input(conn: Connection, row: StudyRow) -> ReportInput:
    """All that a report says, from the database."""
    return ReportInput(
        spec=row.spec,
        verdicts=verdicts.of_study(conn, row.id),
        samples=measurements.samples(conn, row.id),
        runs=_runs(conn, row),
        environment=environment(conn, row),
        created_at=row.created_at,
        title=row.name,
    )


def report_run(run: RunRow) -> ReportRun:
    """A run as tables list it, with its end in a sentence."""
    return ReportRun(
        variant=run.variant,
        width=run.width,
        depth=run.depth,
        seed=run.seed,
        state=run.state,
        train_loss=run.train_loss,
        seconds=run.seconds,
        device=run.device or "",
        note=_note(run),
    )


def environment(conn: Connection, row: StudyRow) -> dict[str, str]:
    """Versions, devices and data of everything that ran."""
    found = attempts.surroundings(conn, row.id)
    columns = {
        "device": {entry.device for entry in found},
        "torch": {entry.torch_version for entry in found},
        "code": {entry.code_version for entry in found},
        "data, SHA-256": {entry.data_digest for entry in found},
    }
    return {"study": row.id, "spec, SHA-256": row.spec_digest} | {
        name: ", ".join(sorted(filter(None, values))) for name, values in columns.items() if values
    }


def labels(row: StudyRow) -> dict[str, str]:
    """Variants as a person says them, by key."""
    return {variant.key: variant.label for variant in row.spec.variants}


def figure_info(conn: Connection, row: StudyRow, variant: str, view: View) -> CoordinateCheckInfo:
    """What the chart of one variant shows."""
    judged = {entry.variant: entry for entry in verdicts.of_study(conn, row.id)}
    return _info(conn, row, variant, view, judged=judged)


def _info(
    conn: Connection,
    row: StudyRow,
    variant: str,
    view: View,
    *,
    judged: Mapping[str, VariantVerdict],
) -> CoordinateCheckInfo:
    return coordinate_check.info(
        measurements.samples(conn, row.id, variant=variant),
        judged.get(variant),
        view.statistic,
        spec=row.spec,
        title=labels(row)[variant],
        tensor=view.tensor,
    )


def _tensors(row: StudyRow) -> list[str]:
    """Every activation that any run of the study records, in the order of the model."""
    return list(
        dict.fromkeys(entry.name for run in _shapes(row) for entry in plan.activations(run))
    )


def _shapes(row: StudyRow) -> list[RunSpec]:
    """One run for each set of tensors."""
    seen = {(run.variant.model.name, run.depth): run for run in plan.runs(row.spec)}
    return list(seen.values())


def _tolerance(judged: list[VariantVerdict]) -> str:
    found = sorted({cell.tolerance for entry in judged for cell in entry.cells})
    return " or ".join(f"{value:g}" for value in found)


def _charts(conn: Connection, row: StudyRow, view: View) -> list[Chart]:
    judged = {entry.variant: entry for entry in verdicts.of_study(conn, row.id)}
    charts = []
    for key, label in labels(row).items():
        info = _info(conn, row, key, view, judged=judged)
        url = urls.figure(row.id, variant=key, statistic=view.statistic, tensor=view.tensor)
        # a variant that has no such tensor has no chart of it either
        if info.panels or not view.tensor:
            summary = coordinate_check.summary(info)
            charts.append(Chart(label, view.statistic, summary, url=url))
    return charts


def _runs(conn: Connection, row: StudyRow) -> list[ReportRun]:
    return [report_run(run) for run in studies.runs(conn, row.id)]


def _preview(conn: Connection, row: StudyRow) -> Content:
    """The report without its charts, which have a tab of their own."""
    report = ReportInput(
        spec=row.spec,
        verdicts=verdicts.of_study(conn, row.id),
        samples=(),
        runs=_runs(conn, row),
        environment=environment(conn, row),
        created_at=row.created_at,
        title=row.name,
    )
    return html.content(report, charts=())


def _waiting(conn: Connection, row: StudyRow) -> str | None:
    """Why a queued study does not start, in a sentence that says what to do."""
    if row.state is not StudyState.QUEUED:
        return None
    if not workers.alive(conn, within_s=ALIVE_S):
        return (
            "No worker is there, so nothing runs yet; the study starts by itself when one comes. "
            "Start one with `muscope worker`, or everything with `muscope up`."
        )
    others = [bundle for bundle in attempts.running(conn) if bundle.study_id != row.id]
    if others:
        return f"Every worker is busy with {others[0].study_name!r}; this study is next in line."
    return None


def _training(conn: Connection, row: StudyRow) -> str:
    """What of this study is trained now, so that nobody takes a long bundle for a hang."""
    if row.state is not StudyState.RUNNING:
        return ""
    here = [bundle for bundle in attempts.running(conn) if bundle.study_id == row.id]
    return ", ".join(
        f"bundle {bundle.bundle_id} at step {bundle.step or 0} of {row.spec.steps}"
        for bundle in here
    )


def _note(run: RunRow) -> str:
    if run.error_text:
        return run.error_text
    if run.state is RunState.DIVERGED and run.first_nonfinite_tensor:
        where = f"step {run.first_nonfinite_step}, first in {run.first_nonfinite_tensor}"
        return f"not finite from {where}"
    return f"attempt {run.attempts}" if run.attempts > 1 else ""
