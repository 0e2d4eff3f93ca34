"""The Search tab: the hyperparameter search of every variant."""

from sqlalchemy import Connection

from muscope.plots import hyperparameters
from muscope.reports import search_section
from muscope.reports.search_section import SearchChart
from muscope.storage import verdicts
from muscope.storage.studies import StudyRow
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope_server import urls
from muscope_server.contexts import SearchOfVariant
from muscope_server.study_page.asked import labels


def searches(conn: Connection, row: StudyRow) -> tuple[SearchOfVariant, ...]:
    """The search of every variant, with its charts."""
    found = {entry.variant: entry for entry in verdicts.of_search(conn, row.id)}
    return tuple(
        _of_variant(row, variant, label, found.get(variant))
        for variant, label in labels(row).items()
    )


def _of_variant(
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
