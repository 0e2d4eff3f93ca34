"""What the page of a comparison shows: the chosen variants beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from muscope.reports import comparison_table
from muscope.storage import studies
from muscope.storage.studies import StudyRow
from muscope_server import urls
from muscope_server.compare_choice import Chosen, View, choose, is_comparable, rows_of
from muscope_server.compare_told import FEWEST, Told, tell
from muscope_server.contexts import (
    Choosable,
    ChoosableStudy,
    CompareContext,
    ComparisonChart,
)
from muscope_server.errors import Refusal, not_found
from muscope_server.limits import COMPARED, PAGE_ROWS
from muscope_server.services.remembering import Remembered
from muscope_server.study_page.asked import labels

OF_SEARCH = (
    "A hyperparameter search ranks sets of values on a page of its own and is not compared here: "
    "choose variants of learning-rate studies or of coordinate checks."
)
_CHARTS = {
    "curves": "Loss against learning rate, on the same axes",
    "best": "Difference at each one’s best rate",
    "equal": "Difference at equal rates",
    "sizes": "Sizes of tensors at the last step, on the same axes",
    "ratios": "Sizes over those of the variant that is subtracted",
}


def checked(view: View) -> View:
    """The view, if there is not too much in it."""
    count = len(set(view.chosen))
    if count > COMPARED:
        raise Refusal(422, "too_many_variants", too_many(count))
    return view


def comparable(conn: Connection, view: View, comparisons: Remembered[Told]) -> Told:
    """Two variants at least, all of which exist; else a refusal that says which of it is not so."""
    found = choose(conn, checked(view))
    if found.missing:
        raise not_found("study or variant among those to compare")
    if found.searches:
        raise Refusal(422, "not_comparable", OF_SEARCH)
    if len(found.known) < FEWEST:
        raise Refusal(422, "too_few_variants", too_few(len(found.known)))
    return comparisons.get(found.question, lambda: tell(conn, found))


def too_many(count: int) -> str:
    """Why so many are not compared."""
    return (
        f"{count} variants are chosen; at most {COMPARED} can stand beside each other: take fewer."
    )


def too_few(count: int) -> str:
    """Why so few are not compared."""
    named = "One variant is" if count else "No variant is"
    return f"{named} chosen; a comparison needs two at least: choose another."


def part(
    conn: Connection, view: View, comparisons: Remembered[Told], *, seen: str
) -> CompareContext | None:
    """What the live view fetches again: all but what can be chosen; nothing if it was `seen`."""
    found, problems = _looked_at(conn, view)
    return None if seen and seen == found.mark else _context(conn, found, problems, comparisons)


def page(conn: Connection, view: View, comparisons: Remembered[Told]) -> CompareContext:
    """Everything that the page needs; what cannot be compared is said, and can be chosen anew."""
    context = _context(conn, *_looked_at(conn, view), comparisons)
    return replace(context, studies=_choosable(conn, view))


def _looked_at(conn: Connection, view: View) -> tuple[Chosen, Sequence[str]]:
    """What can be compared, and in sentences what cannot."""
    count = len(set(view.chosen))
    if count > COMPARED:
        return choose(conn, View(())), [too_many(count)]
    found, problems = choose(conn, view), []
    if found.missing:
        noun = "variant is" if found.missing == 1 else "variants are"
        problems.append(f"{found.missing} chosen {noun} not there, or no longer, and left out.")
    if found.searches:
        problems.append(OF_SEARCH)
    if view.chosen and len(found.known) < FEWEST:
        problems.append(too_few(len(found.known)))
    return found, problems


def _context(
    conn: Connection, found: Chosen, problems: Sequence[str], comparisons: Remembered[Told]
) -> CompareContext:
    told = comparisons.get(found.question, lambda: tell(conn, found)) if found.known else None
    result = told.comparison if told else None
    several = result if result and len(found.known) >= FEWEST else None
    return CompareContext(
        comparison=result,
        chosen=found.names,
        shown=found.view.shown,
        against=found.against,
        problems=problems,
        sentences=tuple(comparison_table.sentences(several)) if several else (),
        differing=comparison_table.settings(several) if several else (),
        tables=comparison_table.tables(several, found.against) if several else (),
        charts=_charts(found, told.figures) if told and several else (),
        kinds=found.kinds,
        kind=found.kind,
        statistics=found.statistics,
        statistic=found.statistic,
        is_live=bool(found.live),
        studies=(),
        most=COMPARED,
        mark=found.mark,
        events=urls.comparison_events(row.id for row in found.live),
        after=",".join(str(row.event_seq) for row in found.live),
    )


def _charts(found: Chosen, figures: Mapping[str, dict[str, Any]]) -> list[ComparisonChart]:
    return [
        ComparisonChart(
            name=name,
            title=_CHARTS[name],
            url=urls.comparison_figure(found.names, name, **found.view.shown),
            is_difference=name in ("best", "equal", "ratios"),
            summary=str(figure["layout"]["meta"]["summary"]),
        )
        for name, figure in figures.items()
    ]


def _choosable(conn: Connection, view: View) -> list[ChoosableStudy]:
    """The newest studies with their variants, those of the chosen ones first."""
    chosen = rows_of(conn, view.chosen[:COMPARED])
    newest = {row.id: row for row in studies.page(conn, limit=PAGE_ROWS)}
    rows = {**chosen, **newest}.values()
    return [_choosable_study(row, set(view.chosen)) for row in rows if is_comparable(row)]


def _choosable_study(row: StudyRow, asked: set[str]) -> ChoosableStudy:
    variants = [
        Choosable(value, label, value in asked)
        for key, label in labels(row).items()
        for value in [f"{row.id}:{key}"]
    ]
    is_open = any(one.is_chosen for one in variants)
    return ChoosableStudy(row.id, row.name, row.spec.kind, is_open, variants)
