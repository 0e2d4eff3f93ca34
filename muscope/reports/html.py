"""The report: one HTML file that opens offline, makes no request, and holds everything."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import product
from typing import Any

import yaml
from markupsafe import Markup

from muscope import __version__, assets
from muscope.plots import coordinate_check, drawing, lr_transfer
from muscope.recorded import AnySpec
from muscope.recording import STATISTICS
from muscope.records import Sample
from muscope.reports import card, rate_table, slope_table, templating
from muscope.reports.card import Card
from muscope.reports.rate_table import LossTable, RateRow
from muscope.reports.slope_table import SlopeTable
from muscope.spec import StudySpec
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import Axis, RunState, Statistic, TensorKind

SHOWN = (
    (TensorKind.ACTIVATION, Statistic.CHANGE),
    (TensorKind.ACTIVATION, Statistic.L1),
    (TensorKind.WEIGHT, Statistic.CONTRIBUTION),
)
"""What a report draws and tabulates where it was recorded: the statistics that decide verdicts."""
STYLES = ("css/tokens.css", "css/components.css", "css/report.css", "vendor/plotly.css")
SCRIPTS = ("vendor/plotly-cartesian.min.js", "js/draw.js", "js/report.js")


@dataclass(frozen=True, slots=True)
class ReportRun:
    """One run as the report lists it.

    Its learning rate and its batch size are given where those of a variant have several.
    """

    variant: str
    width: int
    depth: int
    seed: int
    state: RunState
    train_loss: float | None = None
    seconds: float | None = None
    device: str = ""
    note: str = ""
    learning_rate: float | None = None
    batch_size: int | None = None


@dataclass(frozen=True, slots=True)
class ReportInput:
    """All that a report says, from a database or straight from the lab.

    `environment` is printed as it is: versions, device, digest of the data.
    """

    spec: AnySpec
    verdicts: Sequence[VariantVerdict]
    samples: Sequence[Sample]
    runs: Sequence[ReportRun]
    environment: Mapping[str, str]
    created_at: datetime
    title: str = ""
    transfer: Sequence[TransferJudgement] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing more will be measured."""
        return all(run.state.is_terminal for run in self.runs)


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure with its summary in words; `figure` is None where the page fetches it."""

    title: str
    kind: TensorKind
    statistic: Statistic
    summary: str
    url: str = ""
    figure: dict[str, Any] | None = None
    axis: Axis = Axis.WIDTH


@dataclass(frozen=True, slots=True)
class Rates:
    """The learning rates of one variant: a verdict in words, tables, and a figure if it has one."""

    label: str
    judged: TransferJudgement
    rows: tuple[RateRow, ...]
    losses: LossTable
    drifts: Sequence[str]
    summary: str
    figure: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Content:
    """What the report's template prints, in a file or as the preview in a page."""

    title: str
    question: str
    created_at: datetime
    cards: tuple[Card, ...]
    tables: tuple[SlopeTable, ...]
    runs: tuple[ReportRun, ...]
    labels: Mapping[str, str]
    environment: Mapping[str, str]
    spec_yaml: str
    charts: tuple[Chart, ...] = field(default=())
    rates: tuple[Rates, ...] = field(default=())


QUESTION = (
    "Does anything in the network grow or shrink as it gets wider? If the parametrization is "
    "right, every tensor and its change stay of the same size, and what was tuned on a small "
    "model holds for a large one."
)

RATES_QUESTION = (
    "Is the best learning rate of a small model still the best one of a large model? If the "
    "parametrization is right, the optimum stays where it is when the network gets wider, and one "
    "sweep of a small model is enough."
)


def content(report: ReportInput, charts: Sequence[Chart], *, is_drawn: bool = False) -> Content:
    """The words and tables of a report, with the charts that go with them."""
    is_transfer = report.spec.kind == "lr_transfer"
    return Content(
        title=report.title or report.spec.name,
        question=RATES_QUESTION if is_transfer else QUESTION,
        created_at=report.created_at,
        cards=()
        if is_transfer
        else card.cards(report.spec, report.verdicts, is_over=report.is_over),
        tables=tuple(
            slope_table.slope_table(
                verdict,
                statistic,
                kind,
                standing=card.standing(verdict, is_over=report.is_over),
                axis=axis,
            )
            for verdict in report.verdicts
            for axis in drawn_axes(report.spec)
            for kind, statistic in shown(report.spec)
        ),
        runs=tuple(report.runs),
        labels={variant.key: variant.label for variant in report.spec.variants},
        environment={"muscope": __version__, **report.environment},
        spec_yaml=spec_yaml(report.spec),
        charts=tuple(charts),
        rates=tuple(_rates(judged, is_drawn=is_drawn) for judged in report.transfer),
    )


def _rates(judged: TransferJudgement, *, is_drawn: bool) -> Rates:
    return Rates(
        label=judged.label,
        judged=judged,
        rows=rate_table.rows(judged),
        losses=rate_table.losses(judged),
        drifts=rate_table.drifts(judged),
        summary=lr_transfer.summary(judged),
        figure=lr_transfer.figure(judged) if is_drawn else None,
    )


def shown(spec: AnySpec) -> list[tuple[TensorKind, Statistic]]:
    """What of SHOWN this study records: nothing where it records losses alone."""
    recorded = STATISTICS[spec.record]
    return [(kind, name) for kind, name in SHOWN if name in recorded.get(kind, ())]


def drawn_axes(spec: AnySpec) -> tuple[Axis, ...]:
    """Width, and what else the study varies; its steps are panels already."""
    return tuple(axis for axis in varied(spec) if axis is not Axis.STEP)


def varied(spec: AnySpec) -> tuple[Axis, ...]:
    """What slopes can be taken over; width always. A recorded study says no batch sizes."""
    several = {
        Axis.WIDTH: True,
        Axis.DEPTH: len(spec.depths) > 1,
        Axis.BATCH: isinstance(spec, StudySpec) and len(spec.batch_sizes) > 1,
        Axis.STEP: not isinstance(spec, StudySpec) or spec.steps > 1,
    }
    return tuple(axis for axis in Axis if several[axis])


def render(report: ReportInput) -> str:
    """The self-contained file of a study."""
    return render_content(content(report, drawn_charts(report), is_drawn=True))


def render_content(content: Content) -> str:
    """Styles, script and figures in one file, allowed by their hashes."""
    style = "\n".join(_static(name) for name in STYLES)
    # one element for Plotly, one module for our few lines: each is allowed by its own hash
    plotly, module = _static(SCRIPTS[0]), "\n".join(_static(name) for name in SCRIPTS[1:])
    return (
        templating.environment()
        .get_template("report.html")
        .render(
            content=content,
            style=Markup(style),
            plotly=Markup(plotly),
            module=Markup(module),
            style_hash=csp_hash(style),
            script_hashes=f"{csp_hash(plotly)} {csp_hash(module)}",
        )
    )


def drawn_charts(report: ReportInput) -> tuple[Chart, ...]:
    """Every variant's figures, drawn."""
    judged = {verdict.variant: verdict for verdict in report.verdicts}
    charts = []
    for variant in report.spec.variants:
        key = variant.key
        samples = [sample for sample in report.samples if sample.variant == key]
        for axis, (kind, statistic) in product(drawn_axes(report.spec), shown(report.spec)):
            found = coordinate_check.info(
                samples,
                judged.get(key),
                statistic,
                spec=report.spec,
                kind=kind,
                title=variant.label,
                axis=axis,
                is_over=report.is_over,
            )
            charts.append(
                Chart(
                    title=variant.label,
                    kind=kind,
                    statistic=statistic,
                    summary=coordinate_check.summary(found),
                    figure=drawing.figure(found),
                    axis=axis,
                )
            )
    return tuple(charts)


def spec_yaml(spec: AnySpec) -> str:
    """The spec as YAML that can be pasted into the form or submitted from a file."""
    return yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def csp_hash(text: str) -> str:
    """The source expression that allows exactly this element."""
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _static(name: str) -> str:
    return (assets.frontend() / "static" / name).read_text(encoding="utf-8")
