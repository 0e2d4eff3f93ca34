"""The whole page: everything that the open tab needs, and nothing that another would."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from muscope.recording import STATISTICS
from muscope.storage import budgets, verdicts
from muscope.storage.studies import StudyRow
from muscope.verdicts.types import VariantVerdict
from muscope_server import grid_tab
from muscope_server.contexts import RatesOfVariant, StudyContext
from muscope_server.study_page import coordinate_check, verdict
from muscope_server.study_page.asked import check_of, labels, statistics_of
from muscope_server.study_page.header import header
from muscope_server.study_page.rates import published, rates
from muscope_server.study_page.report import preview
from muscope_server.study_page.runs import runs, taken
from muscope_server.study_page.search import searches
from muscope_server.study_page.view import View, axes_of, tabs_of


def context(conn: Connection, row: StudyRow, view: View) -> StudyContext:
    """The context of a tab."""
    tab, view = view.tab, verdict.of_what_was_recorded(conn, row, view)
    judged = verdicts.of_study(conn, row.id) if tab == "verdict" else []
    swept = rates(conn, row, view.axis) if tab == "lr-transfer" else ()
    bundles = budgets.of_study(conn, row.id) if tab == "runs" else []
    tensors = coordinate_check.tensors(conn, row, view) if tab == "coordinate-check" else []
    if view.tensor not in tensors:
        # what another axis has under another name
        view = replace(view, tensor="")
    return StudyContext(
        study=header(conn, row),
        tabs=tabs_of(row.spec),
        tab=tab,
        kinds=tuple(STATISTICS[check_of(row).record]),
        kind=view.kind,
        statistics=statistics_of(row, view.kind),
        statistic=view.statistic,
        axes=axes_of(row, tab),
        axis=view.axis,
        order=view.order,
        tensor=view.tensor,
        tensors=tensors,
        cards=verdict.cards(row, judged) if tab == "verdict" else (),
        tables=verdict.tables(row, judged, view),
        tolerance=_tolerance(judged, swept, view),
        charts=coordinate_check.charts(conn, row, view) if tab == "coordinate-check" else (),
        rates=swept,
        published=published(row) if swept else None,
        searches=searches(conn, row) if tab == "search" else (),
        joined=verdict.joined(conn, row) if tab in ("verdict", "lr-transfer") else (),
        runs=runs(conn, row) if tab == "runs" else (),
        bundles=bundles,
        taken=taken(bundles),
        labels=labels(row),
        content=preview(conn, row) if tab == "report" else None,
        grid=grid_tab.context(conn, row) if tab == "grid" else None,
    )


def _tolerance(
    judged: Sequence[VariantVerdict], swept: Sequence[RatesOfVariant], view: View
) -> str:
    found = {cell.tolerance for entry in judged for cell in entry.cells_on(view.axis)}
    found |= {drift.tolerance for one in swept if one.judged for drift in one.judged.drifts}
    return " or ".join(f"{value:g}" for value in sorted(found))
