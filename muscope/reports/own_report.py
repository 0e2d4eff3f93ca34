"""The report of a check of a user's own model: the same page, from what was asked and measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import yaml

from muscope import __version__
from muscope.plots import coordinate_check, drawing
from muscope.records import Sample
from muscope.reports import card, html, slope_table
from muscope.reports.html import Chart, Content, ReportRun
from muscope.verdicts.own import OwnGrid
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import Axis, Statistic, TensorKind

SHOWN = (Statistic.CHANGE, Statistic.L1)
"""What is drawn and tabulated: the statistics that decide."""


@dataclass(frozen=True, slots=True)
class OwnReport:
    """All that the report says; `question` is printed as it is, with what was assumed."""

    title: str
    verdict: VariantVerdict
    grid: OwnGrid
    samples: Sequence[Sample]
    runs: Sequence[ReportRun]
    question: Mapping[str, Any]
    environment: Mapping[str, str]
    created_at: datetime


def render(report: OwnReport) -> str:
    """The self-contained file."""
    verdict = report.verdict
    standing = card.standing(verdict, is_over=True)
    return html.render_content(
        Content(
            title=report.title,
            question=html.QUESTION,
            created_at=report.created_at,
            cards=(card.card(verdict, is_over=True),),
            tables=tuple(
                slope_table.slope_table(verdict, statistic, standing=standing, axis=axis)
                for axis in _axes(verdict)
                for statistic in SHOWN
            ),
            runs=tuple(report.runs),
            labels={verdict.variant: verdict.label},
            environment={"muscope": __version__, **report.environment},
            spec_yaml=yaml.safe_dump(dict(report.question), sort_keys=False, allow_unicode=True),
            charts=tuple(
                _chart(report, statistic, axis) for axis in _axes(verdict) for statistic in SHOWN
            ),
        )
    )


def _axes(verdict: VariantVerdict) -> list[Axis]:
    """Width, and depth where there are several."""
    return [axis for axis in (Axis.WIDTH, Axis.DEPTH) if verdict.cells_on(axis)]


def _chart(report: OwnReport, statistic: Statistic, axis: Axis) -> Chart:
    found = coordinate_check.info(
        report.samples,
        report.verdict,
        statistic,
        spec=report.grid,
        title=report.verdict.label,
        axis=axis,
        is_over=True,
    )
    return Chart(
        title=report.verdict.label,
        kind=TensorKind.ACTIVATION,
        statistic=statistic,
        summary=coordinate_check.summary(found),
        figure=drawing.figure(found),
        axis=axis,
    )
