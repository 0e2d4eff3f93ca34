"""The Verdict tab: a card for each variant, every slope, and what check and sweep say together."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from muscope.recorded import RecordedSpec
from muscope.reports import card, slope_table
from muscope.reports.card import Card
from muscope.reports.slope_table import SlopeTable
from muscope.storage import verdicts
from muscope.storage.studies import StudyRow
from muscope.verdicts.joined.judge import told
from muscope.verdicts.joined.types import Joined
from muscope.verdicts.types import VariantVerdict
from muscope_server.study_page.asked import check_of, statistics_of
from muscope_server.study_page.progress import is_over
from muscope_server.study_page.view import View


def cards(row: StudyRow, judged: Sequence[VariantVerdict]) -> tuple[Card, ...]:
    """Every variant's verdict in words."""
    return card.cards(check_of(row), judged, is_over=is_over(row))


def tables(row: StudyRow, judged: Sequence[VariantVerdict], view: View) -> list[SlopeTable]:
    """Every variant's slopes."""
    return [
        slope_table.slope_table(
            one,
            view.statistic,
            view.kind,
            standing=card.standing(one, is_over=is_over(row)),
            axis=view.axis,
            order=view.order,
        )
        for one in judged
    ]


def of_what_was_recorded(conn: Connection, row: StudyRow, view: View) -> View:
    """The same view; of a recording that lacks its statistic everywhere, on the first it has."""
    judged = verdicts.of_study(conn, row.id) if isinstance(row.spec, RecordedSpec) else []
    there = {cell.statistic for one in judged for cell in one.cells if cell.kind is view.kind}
    if not there or view.statistic in there:
        return view
    has = (statistic for statistic in statistics_of(row, view.kind) if statistic in there)
    return replace(view, statistic=next(has, view.statistic))


def joined(conn: Connection, row: StudyRow) -> tuple[Joined, ...]:
    """What check and sweep of every variant say together; of a sweep alone why it drifts."""
    return told(row.spec, verdicts.of_study(conn, row.id), verdicts.of_transfer(conn, row.id))
