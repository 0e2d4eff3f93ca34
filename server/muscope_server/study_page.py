"""What a study's page shows, tab by tab: rows of the database become a context."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from muscope import budget, plan
from muscope.plots import coordinate_check, lr_transfer
from muscope.plots.coordinate_check import CoordinateCheckInfo
from muscope.recording import STATISTICS
from muscope.reports import budget_lines, card, html, rate_table, slope_table
from muscope.reports.html import Chart, Content, ReportInput, ReportRun
from muscope.reports.slope_table import SlopeTable
from muscope.spec import Kind, RunSpec, StudySpec
from muscope.storage import attempts, budgets, failures, measurements, studies, verdicts
from muscope.storage.attempts import RunningBundle
from muscope.storage.budgets import BundleBudget
from muscope.storage.studies import RunRow, StudyRow
from muscope.storage.verdicts import VerdictSummary
from muscope.verdicts.looks import looks
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict, RunState, Statistic, StudyState, TensorKind
from muscope_server import urls, waiting
from muscope_server.contexts import (
    Badge,
    Header,
    Progress,
    RatesOfVariant,
    StudyContext,
    StudyLine,
)

TABS: Mapping[Kind, Mapping[str, str]] = {
    "coordinate_check": {
        "verdict": "Verdict",
        "coordinate-check": "Coordinate check",
        "runs": "Runs",
        "report": "Report",
    },
    "lr_transfer": {"lr-transfer": "LR transfer", "runs": "Runs"},
}
"""Of every kind of study; a page opens on the first."""
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
    "rates": Part("_rates_table.html", "lr-transfer"),
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
        """The same view with a tab, a kind and a statistic that this study has."""
        if row.spec.kind == "lr_transfer":
            tabs = TABS["lr_transfer"]
            # the header is a part that belongs to every tab
            known_tab = self.tab if self.tab in (*tabs, "header") else next(iter(tabs))
            return replace(self, tab=known_tab)
        tabs = TABS["coordinate_check"]
        known_tab = self.tab if self.tab in (*tabs, "header") else next(iter(tabs))
        kinds = STATISTICS[row.spec.record]
        kind = self.kind if self.kind in kinds else TensorKind.ACTIVATION
        offered = statistics(row, kind)
        known = self.statistic if self.statistic in offered else offered[0]
        return replace(self, tab=known_tab, kind=kind, statistic=known)


def statistics(row: StudyRow, kind: TensorKind) -> tuple[Statistic, ...]:
    """What a study records of a kind, in the order of a page."""
    recorded = STATISTICS[row.spec.record].get(kind, ())
    first = tuple(statistic for statistic in FIRST if statistic in recorded)
    return (*first, *(statistic for statistic in recorded if statistic not in first))


def line(row: StudyRow, summaries: list[VerdictSummary]) -> StudyLine:
    """A study in the list of studies, with one badge per variant."""
    judged = {summary.variant: summary for summary in summaries}
    how_far = progress(row)
    whole = _whole(row.spec)
    return StudyLine(
        id=row.id,
        name=row.name,
        badges=[
            _badge(variant.label, judged.get(variant.key), whole, is_over=not how_far.is_live)
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
        measured=count(RunState.FINISHED, RunState.DIVERGED, RunState.SKIPPED),
        failed=count(RunState.FAILED, RunState.OUT_OF_MEMORY),
        runs=row.runs,
        at_most=row.spec.run_count if row.stage is not None else 0,
    )


def _whole(spec: StudySpec) -> set[int]:
    """Runs with which a variant lacks none: all that were planned, or those of a look.

    Of a search that may be any number.
    """
    per_variant = spec.run_count // len(spec.variants)
    if spec.search == "adaptive":
        return set(range(1, per_variant + 1))
    return {per_variant // spec.seeds * look for look in looks(spec)}


def _badge(label: str, judged: VerdictSummary | None, whole: set[int], *, is_over: bool) -> Badge:
    if judged is None:
        return Badge(label, None, "")
    if not is_over:
        return Badge(label, judged.verdict, "" if judged.final else "so far")
    # what is still open after an early look was to go on
    is_open = judged.verdict is CellVerdict.INCONCLUSIVE and judged.runs_judged < max(whole)
    is_firm = judged.final and judged.runs_judged in whole and not is_open
    return Badge(label, judged.verdict, "" if is_firm else "incomplete")


def context(conn: Connection, row: StudyRow, view: View) -> StudyContext:
    """Everything that the open tab needs, and nothing that another would."""
    judged = verdicts.of_study(conn, row.id) if view.tab == "verdict" else []
    rates = _rates(conn, row) if view.tab == "lr-transfer" else ()
    bundles = budgets.of_study(conn, row.id) if view.tab == "runs" else []
    return StudyContext(
        study=header(conn, row),
        tabs=TABS[row.spec.kind],
        tab=view.tab,
        kinds=tuple(STATISTICS[row.spec.record]),
        kind=view.kind,
        statistics=statistics(row, view.kind),
        statistic=view.statistic,
        tensor=view.tensor,
        tensors=_tensors(row, view.kind) if view.tab == "coordinate-check" else (),
        cards=card.cards(row.spec, judged, is_over=_is_over(row)) if view.tab == "verdict" else (),
        tables=[_table(row, entry, view) for entry in judged],
        tolerance=_tolerance(judged, rates),
        charts=_charts(conn, row, view) if view.tab == "coordinate-check" else (),
        rates=rates,
        runs=_runs(conn, row) if view.tab == "runs" else (),
        bundles=bundles,
        taken=_taken(bundles),
        labels=labels(row),
        content=_preview(conn, row) if view.tab == "report" else None,
    )


def _taken(bundles: Sequence[BundleBudget]) -> str:
    """What the study took so far, in a sentence; nothing before the first bundle has ended."""
    total = budget.total([entry.budget for entry in bundles if entry.budget])
    return budget_lines.taken(total) if total else ""


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
        kind=row.spec.kind,
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
    columns: dict[str, set[str | None]] = {
        "device": {entry.device for entry in found},
        "threads": {str(entry.threads or "") for entry in found},
        "float32 products": {entry.matmul_precision for entry in found},
        "torch": {entry.torch_version for entry in found},
        "code": {entry.code_version for entry in found},
        "data, SHA-256": {entry.data_digest for entry in found},
    }
    said = {name: ", ".join(sorted(filter(None, of))) for name, of in columns.items()}
    taken = _taken(budgets.of_study(conn, row.id))
    return {
        "study": row.id,
        "spec, SHA-256": row.spec_digest,
        **{name: words for name, words in said.items() if words},
        **({"budget": taken} if taken else {}),
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


def _tolerance(judged: list[VariantVerdict], rates: Sequence[RatesOfVariant]) -> str:
    found = {cell.tolerance for entry in judged for cell in entry.cells}
    found |= {drift.tolerance for one in rates if one.judged for drift in one.judged.drifts}
    return " or ".join(f"{value:g}" for value in sorted(found))


def _rates(conn: Connection, row: StudyRow) -> tuple[RatesOfVariant, ...]:
    found = {entry.variant: entry for entry in verdicts.of_transfer(conn, row.id)}
    return tuple(
        _rates_of(row, variant, label, found.get(variant)) for variant, label in labels(row).items()
    )


def _rates_of(
    row: StudyRow, variant: str, label: str, judged: TransferJudgement | None
) -> RatesOfVariant:
    return RatesOfVariant(
        label=label,
        judged=judged,
        rows=rate_table.rows(judged) if judged else (),
        drifts=rate_table.drifts(judged) if judged else (),
        url=urls.rates_figure(row.id, variant),
        summary=lr_transfer.summary(judged),
    )


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
    runs = studies.runs(conn, row.id)
    if row.spec.kind == "coordinate_check":
        return [report_run(run) for run in runs]
    base = {variant.key: variant.optimizer.learning_rate for variant in row.spec.variants}
    return [
        replace(report_run(run), learning_rate=base[run.variant] * 2.0**run.octave) for run in runs
    ]


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
