"""The report: one HTML file that opens offline, makes no request, and holds everything."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import product
from typing import Any

import yaml
from markupsafe import Markup

from muscope import __version__, assets, presets
from muscope.plots import coordinate_check, drawing, lr_transfer, optima, published_rates
from muscope.recorded import AnySpec
from muscope.recording import STATISTICS
from muscope.records import Sample
from muscope.reports import (
    card,
    published_table,
    rate_table,
    search_section,
    slope_table,
    templating,
)
from muscope.reports.card import Card
from muscope.reports.published_table import PublishedTable
from muscope.reports.rate_table import LossTable, RateRow
from muscope.reports.recipe_table import RecipeTable, recipes
from muscope.reports.search_section import SearchSection
from muscope.reports.slope_table import SlopeTable
from muscope.spec import StudySpec
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope.verdicts.joined.judge import told
from muscope.verdicts.joined.types import Joined
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.transfer.words import doubling, noun
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

    Its learning rate, batch size, sequence length and steps are given where those of a variant have
    several.
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
    sequence_length: int | None = None
    steps: int | None = None


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
    searches: Sequence[SearchJudgement] = ()

    @property
    def joined(self) -> tuple[Joined, ...]:
        """What check and sweep say together; of a sweep alone, where there are known reasons."""
        return told(self.spec, self.verdicts, self.transfer)

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
    optima_summary: str = ""
    optima_figure: dict[str, Any] | None = None
    published: PublishedTable | None = None


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
    joined: tuple[Joined, ...] = field(default=())
    searches: tuple[SearchSection, ...] = field(default=())
    recipes: tuple[RecipeTable, ...] = field(default=())


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


def _rates_question(spec: AnySpec) -> str:
    """What a study of learning rates asks, by its axis."""
    axis = spec.transfer_axes[0] if isinstance(spec, StudySpec) else Axis.WIDTH
    if axis is Axis.WIDTH:
        return RATES_QUESTION
    return (
        f"Is the best learning rate at one {noun(axis)} still the best one at another? If not, by "
        f"how many octaves does it move per {doubling(axis)}?"
    )


def content(report: ReportInput, charts: Sequence[Chart], *, is_drawn: bool = False) -> Content:
    """The words and tables of a report, with the charts that go with them."""
    check, is_transfer = report.spec.coordinate_check, report.spec.kind == "lr_transfer"
    questions = [_rates_question(report.spec)] if is_transfer else []
    questions += [QUESTION] if check or not is_transfer else []
    if report.spec.kind == "hyperparameter_search":
        questions = [search_section.QUESTION]
    return Content(
        title=report.title or report.spec.name,
        question=" ".join(questions),
        created_at=report.created_at,
        cards=card.cards(check, report.verdicts, is_over=report.is_over) if check else (),
        tables=tuple(
            slope_table.slope_table(
                verdict,
                statistic,
                kind,
                standing=card.standing(verdict, is_over=report.is_over),
                axis=axis,
            )
            for verdict in report.verdicts
            for axis in drawn_axes(check or report.spec)
            for kind, statistic in shown(check or report.spec)
        ),
        runs=tuple(report.runs),
        labels={variant.key: variant.label for variant in report.spec.variants},
        environment={"muscope": __version__, **report.environment},
        spec_yaml=spec_yaml(report.spec),
        charts=tuple(charts),
        rates=tuple(_rates(report.spec, judged, is_drawn=is_drawn) for judged in report.transfer),
        searches=tuple(_search(report, judged, is_drawn=is_drawn) for judged in report.searches),
        joined=report.joined,
        recipes=recipes(report.spec, report.verdicts, (*report.transfer, *report.searches)),
    )


def _search(report: ReportInput, judged: SearchJudgement, *, is_drawn: bool) -> SearchSection:
    section = search_section.section(judged)
    if not is_drawn:
        return section
    return replace(section, charts=search_section.drawn(judged, report.spec))


def _rates(spec: AnySpec, judged: TransferJudgement, *, is_drawn: bool) -> Rates:
    printed = presets.published_rates(spec, judged.variant)
    over_losses, over_optima = published_rates.over_losses, published_rates.over_optima
    return Rates(
        label=judged.label,
        judged=judged,
        rows=rate_table.rows(judged),
        losses=rate_table.losses(judged),
        drifts=rate_table.drifts(judged),
        summary=lr_transfer.summary(judged),
        figure=over_losses(lr_transfer.figure(judged), printed) if is_drawn else None,
        optima_summary=optima.summary(judged),
        optima_figure=over_optima(optima.figure(judged), printed) if is_drawn else None,
        published=published_table.table(printed) if printed else None,
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
    return tuple(axis for axis, is_varied in several.items() if is_varied)


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
    charts: list[Chart] = []
    check = report.spec.coordinate_check
    if check is None:
        return ()
    for variant in check.variants:
        key = variant.key
        samples = [sample for sample in report.samples if sample.variant == key]
        for axis, (kind, statistic) in product(drawn_axes(check), shown(check)):
            found = coordinate_check.info(
                samples,
                judged.get(key),
                statistic,
                spec=check,
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
