"""What a study's page shows, tab by tab: rows of the database become a context."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from muscope import plan
from muscope.plots import coordinate_check
from muscope.plots.coordinate_check import CoordinateCheckInfo
from muscope.recording import STATISTICS
from muscope.reports import card, html, slope_table
from muscope.reports.html import Chart, Content, ReportInput, ReportRun
from muscope.reports.slope_table import SlopeTable
from muscope.spec import RunSpec
from muscope.storage import attempts, failures, measurements, studies, verdicts
from muscope.storage.attempts import RunningBundle
from muscope.storage.studies import RunRow, StudyRow
from muscope.storage.verdicts import VerdictSummary
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import RunState, Statistic, StudyState, TensorKind
from muscope_server import urls, waiting
from muscope_server.contexts import Badge, Header, Progress, StudyContext, StudyLine

TABS = {
    "verdict": "Verdict",
    "coordinate-check": "Coordinate check",
    "runs": "Runs",
    "report": "Report",
}
FIRST = (Statistic.CONTRIBUTION, Statistic.CHANGE)
"""A page opens on the first of these that was recorded: they decide most verdicts."""


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
    kind: TensorKind = TensorKind.ACTIVATION

    def of(self, row: StudyRow) -> "View":
        """The same view with a kind and a statistic that this study records."""
        kinds = STATISTICS[row.spec.record]
        kind = self.kind if self.kind in kinds else TensorKind.ACTIVATION
        offered = statistics(row, kind)
        known = self.statistic if self.statistic in offered else offered[0]
        return replace(self, kind=kind, statistic=known)


def statistics(row: StudyRow, kind: TensorKind) -> tuple[Statistic, ...]:
    """What a study records of a kind, in the order of a page."""
    recorded = STATISTICS[row.spec.record][kind]
    first = tuple(statistic for statistic in FIRST if statistic in recorded)
    return (*first, *(statistic for statistic in recorded if statistic not in first))


def line(row: StudyRow, summaries: list[VerdictSummary]) -> StudyLine:
    """A study in the list of studies, with one badge per variant."""
    judged = {summary.variant: summary for summary in summaries}
    how_far = progress(row)
    planned = row.spec.run_count // len(row.spec.variants)
    return StudyLine(
        id=row.id,
        name=row.name,
        badges=[
            _badge(variant.label, judged.get(variant.key), planned, is_over=not how_far.is_live)
            for variant in row.spec.variants
        ],
        progress=how_far,
        created_at=row.created_at,
    )


def progress(row: StudyRow) -> Progress:
    """How far a study is: what ended, what of it gave a result, what failed."""

    def count(*states: RunState) -> int:
        return sum(row.counts.get(state, 0) for state in states)

    return Progress(
        state=row.state,
        ended=sum(number for state, number in row.counts.items() if state.is_terminal),
        measured=count(RunState.FINISHED, RunState.DIVERGED),
        failed=count(RunState.FAILED, RunState.OUT_OF_MEMORY),
        runs=row.runs,
    )


def _badge(label: str, judged: VerdictSummary | None, planned: int, *, is_over: bool) -> Badge:
    if judged is None:
        return Badge(label, None, "")
    if not is_over:
        return Badge(label, judged.verdict, "" if judged.final else "so far")
    is_firm = judged.final and judged.runs_judged == planned
    return Badge(label, judged.verdict, "" if is_firm else "incomplete")


def context(conn: Connection, row: StudyRow, view: View) -> StudyContext:
    """Everything that the open tab needs, and nothing that another would."""
    judged = verdicts.of_study(conn, row.id) if view.tab == "verdict" else []
    return StudyContext(
        study=header(conn, row),
        tabs=TABS,
        tab=view.tab,
        kinds=tuple(STATISTICS[row.spec.record]),
        kind=view.kind,
        statistics=statistics(row, view.kind),
        statistic=view.statistic,
        tensor=view.tensor,
        tensors=_tensors(row, view.kind) if view.tab == "coordinate-check" else (),
        cards=card.cards(row.spec, judged, is_over=_is_over(row)) if view.tab == "verdict" else (),
        tables=[_table(row, entry, view) for entry in judged],
        tolerance=_tolerance(judged),
        charts=_charts(conn, row, view) if view.tab == "coordinate-check" else (),
        runs=_runs(conn, row) if view.tab == "runs" else (),
        labels=labels(row),
        content=_preview(conn, row) if view.tab == "report" else None,
    )


def _table(row: StudyRow, judged: VariantVerdict, view: View) -> SlopeTable:
    standing = card.standing(judged, is_over=_is_over(row))
    return slope_table.slope_table(judged, view.statistic, view.kind, standing=standing)


def header(conn: Connection, row: StudyRow) -> Header:
    """The head of the page: how far it is, and why it waits if it does."""
    seconds = None
    if row.started_at and row.ended_at:
        seconds = (row.ended_at - row.started_at).total_seconds()
    return Header(
        id=row.id,
        name=row.name,
        progress=progress(row),
        event_seq=row.event_seq,
        created_at=row.created_at,
        started_at=row.started_at,
        seconds=seconds,
        waiting=waiting.sentence(conn, row),
        failure=failures.commonest(conn, row.id),
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
        measurements.samples(conn, row.id, variant=variant, kind=view.kind),
        judged.get(variant),
        view.statistic,
        spec=row.spec,
        kind=view.kind,
        title=labels(row)[variant],
        tensor=view.tensor,
        is_over=_is_over(row),
    )


def _is_over(row: StudyRow) -> bool:
    """Whether nothing more will be measured."""
    return not progress(row).is_live


def _tensors(row: StudyRow, kind: TensorKind) -> list[str]:
    """Every tensor of which any run of the study records the kind, in the order of the model."""
    recorded = (entry for run in _shapes(row) for entry in plan.tensors(run))
    return list(dict.fromkeys(entry.name for entry in recorded if entry.kind is kind))


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
        url = urls.figure(row.id, variant=key, **urls.shown(view.kind, view.statistic, view.tensor))
        # a variant that has no such tensor has no chart of it either
        if info.panels or not view.tensor:
            summary = coordinate_check.summary(info)
            charts.append(Chart(label, view.kind, view.statistic, summary, url=url))
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


def _training(conn: Connection, row: StudyRow) -> str:
    """What of this study is trained now, so that nobody takes a long bundle for a hang."""
    if row.state is not StudyState.RUNNING:
        return ""
    here = [bundle for bundle in attempts.running(conn) if bundle.study_id == row.id]
    return ", ".join(
        f"{position(conn, bundle)} at step {bundle.step or 0} of {row.spec.steps}"
        for bundle in here
    )


def position(conn: Connection, bundle: RunningBundle) -> str:
    """A bundle as its study counts it: `bundle 3 of 4`."""
    ids = attempts.bundle_ids(conn, bundle.study_id)
    return f"bundle {ids.index(bundle.bundle_id) + 1} of {len(ids)}"


def _note(run: RunRow) -> str:
    if run.error_text:
        return run.error_text
    if run.state is RunState.DIVERGED and run.first_nonfinite_tensor:
        where = f"step {run.first_nonfinite_step}, first in {run.first_nonfinite_tensor}"
        return f"not finite from {where}"
    return f"attempt {run.attempts}" if run.attempts > 1 else ""
