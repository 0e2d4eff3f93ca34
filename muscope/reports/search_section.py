"""A hyperparameter search as a page and a report say it: tables, sentences, figures."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from muscope.plots import hyperparameters
from muscope.plots.hyperparameters import Shown
from muscope.recorded import AnySpec
from muscope.reports import set_table
from muscope.reports.set_table import ErrorRow, SetTable
from muscope.spec import StudySpec
from muscope.verdicts.hyperparameters.types import SearchJudgement

QUESTION = (
    "Which learning rate and which multipliers are best, and does a small model name them? If the "
    "parametrization is right, the best set of a small width is as good as any at a larger one. "
    "A set is chosen by its loss among those that trained steadily."
)

_TITLES: Mapping[Shown, str] = {
    "values": "Loss over each hyperparameter",
    "pairs": "Two hyperparameters together",
    "widths": "The same sets at a larger width",
}


@dataclass(frozen=True, slots=True)
class SearchChart:
    """A figure with its summary in words; `figure` is None where the page fetches it."""

    title: str
    summary: str
    url: str = ""
    figure: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SearchSection:
    """All that is said of the search of one variant; a file brings its figures."""

    judged: SearchJudgement
    table: SetTable
    agreements: tuple[str, ...]
    edges: str
    errors: tuple[ErrorRow, ...]
    charts: tuple[SearchChart, ...] = field(default=())


def section(judged: SearchJudgement) -> SearchSection:
    """Its tables and sentences, without figures."""
    return SearchSection(
        judged=judged,
        table=set_table.table(judged),
        agreements=set_table.agreements(judged),
        edges=set_table.edges(judged),
        errors=set_table.transfer_errors(judged),
    )


def drawn(judged: SearchJudgement, spec: AnySpec) -> tuple[SearchChart, ...]:
    """Its figures."""
    return tuple(
        SearchChart(
            title,
            hyperparameters.summary(judged, shown),
            figure=hyperparameters.figure(judged, shown),
        )
        for shown, title in titles(spec).items()
    )


def titles(spec: AnySpec) -> dict[Shown, str]:
    """Which figures a search has, with their titles: one by one, no two move together."""
    tuning = spec.tuning if isinstance(spec, StudySpec) else None
    if tuning is None:
        return {}
    left_out = {"pairs"} if tuning.method == "independent" or not tuning.ranges else set()
    return {shown: title for shown, title in _TITLES.items() if shown not in left_out}
