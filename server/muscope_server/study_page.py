"""What a study's page shows, tab by tab: rows of the database become a context."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from muscope import budget, plan, presets
from muscope.plots import coordinate_check, hyperparameters, lr_transfer, optima, published_rates
from muscope.plots.coordinate_check import CoordinateCheckInfo
from muscope.recorded import AnySpec, RecordedSpec
from muscope.recording import STATISTICS
from muscope.reports import (
    budget_lines,
    card,
    html,
    published_table,
    rate_table,
    search_section,
    set_table,
    slope_table,
)
from muscope.reports.html import Chart, Content, ReportInput, ReportRun
from muscope.reports.search_section import SearchChart
from muscope.reports.slope_table import Order, SlopeTable
from muscope.spec import RunSpec, StudySpec
from muscope.storage import (
    attempts,
    budgets,
    failures,
    measurements,
    recordings,
    reuse,
    studies,
    verdicts,
)
from muscope.storage.attempts import RunningBundle
from muscope.storage.budgets import BundleBudget
from muscope.storage.studies import RunRow, StudyRow
from muscope.storage.verdicts import VerdictSummary
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope.verdicts.joined.judge import told
from muscope.verdicts.joined.types import Joined
from muscope.verdicts.looks import looks
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import Axis, CellVerdict, RunState, Statistic, StudyState, TensorKind
from muscope_server import grid_tab, left, urls, waiting
from muscope_server.contexts import (
    Badge,
    Header,
    Progress,
    PublishedOfPreset,
    RatesOfVariant,
    Related,
    SearchOfVariant,
    StudyContext,
    StudyLine,
)

TABS: Mapping[str, Mapping[str, str]] = {
    "coordinate_check": {
        "verdict": "Verdict",
        "coordinate-check": "Coordinate check",
        "grid": "Grid",
        "runs": "Runs",
        "recipe": "Recipe",
        "report": "Report",
    },
    "recorded": {
        "verdict": "Verdict",
        "coordinate-check": "Coordinate check",
        "grid": "Grid",
        "runs": "Runs",
        "report": "Report",
    },
    "lr_transfer": {
        "lr-transfer": "LR transfer",
        "grid": "Grid",
        "runs": "Runs",
        "recipe": "Recipe",
        "report": "Report",
    },
    "hyperparameter_search": {
        "search": "Search",
        "runs": "Runs",
        "recipe": "Recipe",
        "report": "Report",
    },
}
"""Of every kind of study; a page opens on the first."""
OF_CHECKS = ("verdict", "coordinate-check")
"""What a learning-rate study with a coordinate check has before its own."""
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
    "grid": Part("_grid_tab.html", "grid"),
    "search": Part("_search_table.html", "search"),
    "runs": Part("_runs_tab.html", "runs"),
}


@dataclass(frozen=True, slots=True)
class View:
    """What the reader chose to see; all of it is in the URL."""

    tab: str
    statistic: Statistic
    tensor: str
    kind: TensorKind = TensorKind.ACTIVATION
    axis: Axis = Axis.WIDTH
    order: Order = "model"

    def of(self, row: StudyRow) -> "View":
        """The same view with a tab, a kind, a statistic and an axis that this study has."""
        tabs, check = tabs_of(row.spec), row.spec.coordinate_check
        # the header is a part that belongs to every tab
        known_tab = self.tab if self.tab in (*tabs, "header") else next(iter(tabs))
        if known_tab == "lr-transfer" and isinstance(row.spec, StudySpec):
            axes = row.spec.transfer_axes
            known_axis = self.axis if self.axis in axes else axes[0]
            return replace(self, tab=known_tab, axis=known_axis)
        if check is None:
            return replace(self, tab=known_tab)
        kinds = STATISTICS[check.record]
        kind = self.kind if self.kind in kinds else TensorKind.ACTIVATION
        axis = self.axis if self.axis in html.varied(check) else Axis.WIDTH
        offered = statistics(row, kind)
        known = self.statistic if self.statistic in offered else offered[0]
        return replace(self, tab=known_tab, kind=kind, statistic=known, axis=axis)


def tabs_of(spec: AnySpec) -> Mapping[str, str]:
    """The tabs of a study, by their name in its address; one that checks and sweeps has both's."""
    own = TABS[spec.kind]
    if spec.kind != "lr_transfer" or spec.coordinate_check is None:
        return own
    return {**{name: TABS["coordinate_check"][name] for name in OF_CHECKS}, **own}


def _check_of(row: StudyRow) -> AnySpec:
    """What of a study checks sizes; a study of losses alone is given as it is."""
    return row.spec.coordinate_check or row.spec


def statistics(row: StudyRow, kind: TensorKind) -> tuple[Statistic, ...]:
    """What a study records of a kind, in the order of a page."""
    recorded = STATISTICS[_check_of(row).record].get(kind, ())
    first = tuple(statistic for statistic in FIRST if statistic in recorded)
    return (*first, *(statistic for statistic in recorded if statistic not in first))


def line(row: StudyRow, summaries: list[VerdictSummary]) -> StudyLine:
    """A study in the list of studies, with one badge per variant."""
    judged = {(summary.kind, summary.variant): summary for summary in summaries}
    how_far, parts = progress(row), parts_of(row.spec)
    return StudyLine(
        id=row.id,
        name=row.name,
        badges=[
            _badge(
                f"{label} · {PART_TITLES[part.kind]}" if len(parts) > 1 else label,
                judged.get((part.kind, key)),
                _whole(part, key),
                is_over=not how_far.is_live,
            )
            for key, label in labels(row).items()
            for part in parts
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
        reused=row.reused,
    )


PART_TITLES = {"coordinate_check": "check", "lr_transfer": "learning rate"}
"""What a badge says beside the variant where a study has two of it."""


def parts_of(spec: AnySpec) -> tuple[AnySpec, ...]:
    """What a study asks, each as if it were alone."""
    return (spec,) if isinstance(spec, RecordedSpec) else spec.parts


def _whole(spec: AnySpec, variant: str) -> set[int]:
    """Runs with which a variant lacks none: all that were planned, or those of a look.

    Of a search that may be any number.
    """
    if isinstance(spec, RecordedSpec):
        return {one.planned_runs for one in spec.variants if one.key == variant}
    per_variant = spec.run_count // len(spec.variants)
    if spec.search == "adaptive" or spec.extend_octaves or spec.tuning is not None:
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
    rates = _rates(conn, row, view.axis) if view.tab == "lr-transfer" else ()
    check = _check_of(row)
    bundles = budgets.of_study(conn, row.id) if view.tab == "runs" else []
    tensors = _tensors(conn, row, view) if view.tab == "coordinate-check" else []
    if view.tensor not in tensors:
        # what another axis has under another name
        view = replace(view, tensor="")
    return StudyContext(
        study=header(conn, row),
        tabs=tabs_of(row.spec),
        tab=view.tab,
        kinds=tuple(STATISTICS[check.record]),
        kind=view.kind,
        statistics=statistics(row, view.kind),
        statistic=view.statistic,
        axes=_axes(row, view),
        axis=view.axis,
        order=view.order,
        tensor=view.tensor,
        tensors=tensors,
        cards=card.cards(check, judged, is_over=_is_over(row)) if view.tab == "verdict" else (),
        tables=[_table(row, entry, view) for entry in judged],
        tolerance=_tolerance(judged, rates, view),
        charts=_charts(conn, row, view) if view.tab == "coordinate-check" else (),
        rates=rates,
        published=_published(row) if rates else None,
        searches=_searches(conn, row) if view.tab == "search" else (),
        joined=joined(conn, row) if view.tab in ("verdict", "lr-transfer") else (),
        runs=_runs(conn, row) if view.tab == "runs" else (),
        bundles=bundles,
        taken=_taken(bundles),
        labels=labels(row),
        content=_preview(conn, row) if view.tab == "report" else None,
        grid=grid_tab.context(conn, row) if view.tab == "grid" else None,
    )


def _axes(row: StudyRow, view: View) -> tuple[Axis, ...]:
    """What the open tab can be looked at over."""
    if view.tab == "lr-transfer" and isinstance(row.spec, StudySpec):
        return row.spec.transfer_axes
    check = row.spec.coordinate_check
    return () if check is None else html.varied(check)


def joined(conn: Connection, row: StudyRow) -> tuple[Joined, ...]:
    """What check and sweep of every variant say together; of a sweep alone why it drifts."""
    return told(row.spec, verdicts.of_study(conn, row.id), verdicts.of_transfer(conn, row.id))


def _taken(bundles: Sequence[BundleBudget]) -> str:
    """What the study took so far, in a sentence; nothing before the first bundle has ended."""
    own = [entry.budget for entry in bundles if entry.budget and not entry.reused]
    total = budget.total(own)
    return budget_lines.taken(total) if total else ""


def _table(row: StudyRow, judged: VariantVerdict, view: View) -> SlopeTable:
    standing = card.standing(judged, is_over=_is_over(row))
    return slope_table.slope_table(
        judged, view.statistic, view.kind, standing=standing, axis=view.axis, order=view.order
    )


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
        left=left.words(conn, row),
        extends=_extended(conn, row),
        extended_by=[Related(*one) for one in reuse.extensions(conn, row.id)],
        trained_again=_trained_again(conn, row),
        can_grow=isinstance(row.spec, StudySpec) and not progress(row).is_live,
        statistics=getattr(row.spec, "statistics", ()),
    )


def _extended(conn: Connection, row: StudyRow) -> Related | None:
    if row.extends is None:
        return None
    name = studies.name_of(conn, row.extends)
    return Related(row.extends, name or row.extends)


def _trained_again(conn: Connection, row: StudyRow) -> str:
    """Why runs of the study that it extends were not reused, with how many."""
    return "" if row.extends is None else str(studies.creation(conn, row.id).get("not_reused", ""))


def _reuse(conn: Connection, row: StudyRow) -> dict[str, str]:
    """What a report says of the study that this one extends."""
    if row.extends is None:
        return {}
    again = _trained_again(conn, row)
    said = f"study {row.extends}: {row.reused} of {row.runs} runs reused"
    return {"extends": f"{said}; trained again: {again}" if again else said}


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
        transfer=verdicts.of_transfer(conn, row.id),
        searches=verdicts.of_search(conn, row.id),
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
        **_reuse(conn, row),
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
        spec=_check_of(row),
        kind=view.kind,
        title=labels(row)[variant],
        tensor=view.tensor,
        axis=view.axis,
        is_over=_is_over(row),
    )


def _is_over(row: StudyRow) -> bool:
    """Whether nothing more will be measured."""
    return not progress(row).is_live


def _tensors(conn: Connection, row: StudyRow, view: View) -> list[str]:
    """Every tensor of which any run of the study records the kind, in the order of the model.

    Over depth they are called as its slopes call them.
    """
    if view.axis is Axis.DEPTH:
        judged = verdicts.of_study(conn, row.id)
        cells = (cell for one in judged for cell in one.cells_on(view.axis))
        return list(dict.fromkeys(cell.tensor for cell in cells if cell.kind is view.kind))
    if isinstance(row.spec, RecordedSpec):
        return recordings.tensor_names(conn, row.id)
    shapes = _shapes(row.spec.coordinate_check or row.spec)
    recorded = (entry for run in shapes for entry in plan.tensors(run))
    return list(dict.fromkeys(entry.name for entry in recorded if entry.kind is view.kind))


def _shapes(spec: StudySpec) -> list[RunSpec]:
    """One run for each set of tensors."""
    seen = {(run.variant.model.name, run.depth): run for run in plan.runs(spec)}
    return list(seen.values())


def _tolerance(judged: list[VariantVerdict], rates: Sequence[RatesOfVariant], view: View) -> str:
    found = {cell.tolerance for entry in judged for cell in entry.cells_on(view.axis)}
    found |= {drift.tolerance for one in rates if one.judged for drift in one.judged.drifts}
    return " or ".join(f"{value:g}" for value in sorted(found))


def _rates(conn: Connection, row: StudyRow, axis: Axis) -> tuple[RatesOfVariant, ...]:
    found = {entry.variant: entry for entry in verdicts.of_transfer(conn, row.id)}
    return tuple(
        _rates_of(row, variant, label, found.get(variant), axis)
        for variant, label in labels(row).items()
    )


def _published(row: StudyRow) -> PublishedOfPreset | None:
    """What the source of its preset prints, once for the whole study."""
    of_variants = (presets.published_rates(row.spec, key) for key in labels(row))
    found = next((one for one in of_variants if one), None)
    if found is None or not isinstance(row.spec, StudySpec):
        return None
    return PublishedOfPreset(
        table=published_table.table(found),
        summary=published_rates.summary(found),
        url=urls.published_figure(row.spec.preset or "") if found.losses else "",
    )


def _rates_of(
    row: StudyRow, variant: str, label: str, judged: TransferJudgement | None, axis: Axis
) -> RatesOfVariant:
    return RatesOfVariant(
        label=label,
        judged=judged,
        rows=rate_table.rows(judged) if judged else (),
        losses=rate_table.losses(judged) if judged else None,
        drifts=rate_table.drifts(judged) if judged else (),
        url=urls.rates_figure(row.id, variant, axis),
        summary=lr_transfer.summary(judged),
        optima_url=urls.rates_figure(row.id, variant, axis, what="lr-optima"),
        optima_summary=optima.summary(judged, axis),
    )


def _searches(conn: Connection, row: StudyRow) -> tuple[SearchOfVariant, ...]:
    found = {entry.variant: entry for entry in verdicts.of_search(conn, row.id)}
    return tuple(
        _search_of(row, variant, label, found.get(variant))
        for variant, label in labels(row).items()
    )


def _search_of(
    row: StudyRow, variant: str, label: str, judged: SearchJudgement | None
) -> SearchOfVariant:
    return SearchOfVariant(
        label=label,
        judged=judged,
        search=search_section.section(judged) if judged else None,
        charts=[
            SearchChart(
                title, hyperparameters.summary(judged, shown),
                url=urls.search_figure(row.id, variant, shown),
            )
            for shown, title in search_section.titles(row.spec).items()
        ],
    )  # fmt: skip


def _charts(conn: Connection, row: StudyRow, view: View) -> list[Chart]:
    judged = {entry.variant: entry for entry in verdicts.of_study(conn, row.id)}
    charts = []
    shown = urls.shown(view.kind, view.statistic, view.tensor, view.axis)
    for key, label in labels(row).items():
        info = _info(conn, row, key, view, judged=judged)
        url = urls.figure(row.id, variant=key, **shown)
        # a variant that has no such tensor has no chart of it either
        if info.panels or not view.tensor:
            summary = coordinate_check.summary(info)
            charts.append(Chart(label, view.kind, view.statistic, summary, url=url, axis=view.axis))
    return charts


def _runs(conn: Connection, row: StudyRow) -> list[ReportRun]:
    runs, spec = studies.runs(conn, row.id), row.spec
    if isinstance(spec, RecordedSpec):
        return [report_run(run) for run in runs]
    if spec.kind == "coordinate_check":
        several = len(spec.batch_sizes) > 1
        return [
            replace(report_run(run), batch_size=run.batch_size if several else None) for run in runs
        ]
    base = {variant.key: variant.optimizer.learning_rate for variant in spec.variants}
    return [
        replace(
            report_run(run),
            note=_part_note(run),
            learning_rate=base[run.variant] * 2.0**run.octave,
            batch_size=run.batch_size if spec.batch_sizes else None,
            sequence_length=run.sequence_length,
            steps=run.steps if spec.step_counts else None,
        )
        for run in runs
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
        transfer=verdicts.of_transfer(conn, row.id),
        searches=verdicts.of_search(conn, row.id),
    )
    return html.content(report, charts=())


def _training(conn: Connection, row: StudyRow) -> str:
    """What of this study is trained now, so that nobody takes a long bundle for a hang."""
    if row.state is not StudyState.RUNNING:
        return ""
    if isinstance(row.spec, RecordedSpec):
        return recordings.progress_words(conn, row.id)
    here = [bundle for bundle in attempts.running(conn) if bundle.study_id == row.id]
    if row.spec.check is not None:  # its two parts have different lengths
        return ", ".join(f"{position(conn, one)} at step {one.step or 0}" for one in here)
    steps = row.spec.steps
    return ", ".join(
        f"{position(conn, bundle)} at step {bundle.step or 0} of {steps}" for bundle in here
    )


def position(conn: Connection, bundle: RunningBundle) -> str:
    """A bundle as its study counts it: `bundle 3 of 4`."""
    ids = attempts.bundle_ids(conn, bundle.study_id)
    return f"bundle {ids.index(bundle.bundle_id) + 1} of {len(ids)}"


def _note(run: RunRow) -> str:
    if run.tuned:
        return " · ".join(filter(None, [set_table.in_words(run.tuned), _end(run)]))
    if run.reused_from:
        return " · ".join(filter(None, [f"reused from study {run.reused_from}", _end(run)]))
    return _end(run)


def _part_note(run: RunRow) -> str:
    """The note of a run of a learning-rate study, and that it is one of its coordinate check."""
    is_checked = run.record not in (None, "losses")
    return " · ".join(filter(None, ["coordinate check" if is_checked else "", _note(run)]))


def _end(run: RunRow) -> str:
    """Why a run ended as it did, where that needs words."""
    if run.error_text:
        return run.error_text
    if run.state is RunState.DIVERGED and run.first_nonfinite_tensor:
        where = f"step {run.first_nonfinite_step}, first in {run.first_nonfinite_tensor}"
        return f"not finite from {where}"
    if run.attempts > 1:
        return ": ".join(filter(None, [f"attempt {run.attempts}", run.resume_note]))
    return ""
