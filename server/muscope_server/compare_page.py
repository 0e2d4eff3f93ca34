"""What the page of a comparison shows: the chosen variants, read once, beside each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from sqlalchemy import Connection

from muscope.plots import comparison as plots
from muscope.plots import comparison_sizes
from muscope.recording import STATISTICS
from muscope.reports import comparison_table
from muscope.storage import studies, verdicts
from muscope.storage.studies import StudyRow
from muscope.verdicts.comparison.compare import compare
from muscope.verdicts.comparison.contender import Contender
from muscope.verdicts.comparison.types import Comparison, Quantity
from muscope.vocabulary import Statistic, TensorKind
from muscope_server import study_page, urls
from muscope_server.contexts import (
    Choosable,
    ChoosableStudy,
    CompareContext,
    ComparisonChart,
)
from muscope_server.deps import is_study_id
from muscope_server.errors import Refusal, not_found
from muscope_server.limits import COMPARED, PAGE_ROWS
from muscope_server.services import comparing

FEWEST = 2
OF_SEARCH = (
    "A hyperparameter search ranks sets of values on a page of its own and is not compared here: "
    "choose variants of learning-rate studies or of coordinate checks."
)
FIGURES = ("curves", "best", "equal", "sizes", "ratios")
_CHARTS = {
    "curves": "Loss against learning rate, on the same axes",
    "best": "Difference at each one’s best rate",
    "equal": "Difference at equal rates",
    "sizes": "Sizes of tensors at the last step, on the same axes",
    "ratios": "Sizes over those of the variant that is subtracted",
}


@dataclass(frozen=True, slots=True)
class View:
    """What the reader chose; all of it is in the URL.

    `chosen` are `STUDY:VARIANT`, `against` is the one that the others are held against.
    """

    chosen: tuple[str, ...]
    against: str = ""
    kind: TensorKind = TensorKind.ACTIVATION
    statistic: Statistic | None = None

    @property
    def shown(self) -> dict[str, str]:
        """The rest of the view, for links; what a page opens with goes without saying."""
        return {
            "against": self.against,
            "kind": "" if self.kind is TensorKind.ACTIVATION else self.kind.value,
            "statistic": self.statistic or "",
        }


@dataclass(frozen=True)
class Gathered:
    """What is known of the chosen variants, as far as there are such."""

    view: View
    rows: Mapping[str, StudyRow]
    contenders: tuple[Contender, ...]
    chosen: tuple[str, ...]
    missing: int
    searches: int
    kinds: tuple[TensorKind, ...]
    kind: TensorKind
    statistics: tuple[Statistic, ...]
    statistic: Statistic

    @property
    def is_live(self) -> bool:
        """Whether any of the studies goes on."""
        return any(study_page.progress(row).is_live for row in self.rows.values())

    @property
    def against(self) -> int:
        """The place of the variant that is subtracted: the first unless another is named."""
        wanted = self.view.against
        return self.chosen.index(wanted) if wanted in self.chosen else 0

    @cached_property
    def comparison(self) -> Comparison:
        """The comparison."""
        return compare(self.contenders, kind=self.kind, statistic=self.statistic)


def gather(conn: Connection, view: View) -> Gathered:
    """Read what the chosen variants came to."""
    chosen = [tuple(one.partition(":")[::2]) for one in dict.fromkeys(view.chosen)]
    rows = _rows(conn, view.chosen)
    there = [
        (rows[study_id], variant)
        for study_id, variant in chosen
        if study_id in rows and variant in study_page.labels(rows[study_id])
    ]
    known = [(row, variant) for row, variant in there if is_comparable(row)]
    kinds = _kinds([row for row, _ in known])
    kind = view.kind if view.kind in kinds else TensorKind.ACTIVATION
    statistics = _statistics([row for row, _ in known], kind)
    wanted = view.statistic if view.statistic in statistics else None
    return Gathered(
        view=view,
        rows={row.id: row for row, _ in known},
        contenders=comparing.contenders(conn, known, kind),
        chosen=tuple(f"{row.id}:{variant}" for row, variant in known),
        missing=len(chosen) - len(there),
        searches=len(there) - len(known),
        kinds=kinds,
        kind=kind,
        statistics=statistics,
        statistic=wanted or next(iter(statistics), study_page.FIRST[0]),
    )


def is_comparable(row: StudyRow) -> bool:
    """Whether variants of a study have losses or sizes of their own; a search has ranked sets."""
    return row.spec.kind != "hyperparameter_search"


def checked(view: View) -> View:
    """The view, if there is not too much in it."""
    count = len(set(view.chosen))
    if count > COMPARED:
        raise Refusal(422, "too_many_variants", too_many(count))
    return view


def comparable(conn: Connection, view: View) -> Gathered:
    """Two variants at least, all of which exist; else a refusal that says which of it is not so."""
    found = gather(conn, checked(view))
    if found.missing:
        raise not_found("study or variant among those to compare")
    if found.searches:
        raise Refusal(422, "not_comparable", OF_SEARCH)
    if len(found.contenders) < FEWEST:
        raise Refusal(422, "too_few_variants", too_few(len(found.contenders)))
    return found


def too_many(count: int) -> str:
    """Why so many are not compared."""
    return (
        f"{count} variants are chosen; at most {COMPARED} can stand beside each other: take fewer."
    )


def too_few(count: int) -> str:
    """Why so few are not compared."""
    named = "One variant is" if count else "No variant is"
    return f"{named} chosen; a comparison needs two at least: choose another."


def mark(conn: Connection, view: View) -> str:
    """Changes when a run of the chosen studies has ended, or a verdict was made of more runs."""
    return _mark(conn, _rows(conn, view.chosen[:COMPARED]))


def _rows(conn: Connection, chosen: Sequence[str]) -> dict[str, StudyRow]:
    ids = dict.fromkeys(one.partition(":")[0] for one in chosen)
    return {one: row for one in ids if is_study_id(one) and (row := studies.get(conn, one))}


def _mark(conn: Connection, known: Mapping[str, StudyRow]) -> str:
    rows = list(known.values())
    judged = verdicts.of_studies(conn, [row.id for row in rows])
    counts = [study_page.progress(row).ended for row in rows]
    counts += [one.runs_judged for of_study in judged.values() for one in of_study]
    return f"{sum(counts)}-{sum(one.final for of in judged.values() for one in of)}"


def part(conn: Connection, view: View) -> CompareContext:
    """What the live view fetches again: tables, without pictures and without what can be chosen."""
    found, problems = _told(conn, view)
    return replace(_of(found, problems), mark=_mark(conn, found.rows))


def page(conn: Connection, view: View) -> CompareContext:
    """Everything that the page needs; what cannot be compared is said, and can be chosen anew."""
    found, problems = _told(conn, view)
    charts = _charts(found) if len(found.contenders) >= FEWEST else ()
    offered = _choosable(conn, found.rows, view)
    return replace(
        _of(found, problems), charts=charts, studies=offered, mark=_mark(conn, found.rows)
    )


def _told(conn: Connection, view: View) -> tuple[Gathered, Sequence[str]]:
    """What can be compared, and in sentences what cannot."""
    count = len(set(view.chosen))
    if count > COMPARED:
        return gather(conn, View(())), [too_many(count)]
    found, problems = gather(conn, view), []
    if found.missing:
        noun = "variant is" if found.missing == 1 else "variants are"
        problems.append(f"{found.missing} chosen {noun} not there, or no longer, and left out.")
    if found.searches:
        problems.append(OF_SEARCH)
    if view.chosen and len(found.contenders) < FEWEST:
        problems.append(too_few(len(found.contenders)))
    return found, problems


def _of(found: Gathered, problems: Sequence[str]) -> CompareContext:
    result = found.comparison if found.contenders else None
    told = result if result and len(found.contenders) >= FEWEST else None
    return CompareContext(
        comparison=result,
        chosen=found.chosen,
        shown=found.view.shown,
        against=found.against,
        problems=problems,
        sentences=tuple(comparison_table.sentences(told)) if told else (),
        differing=comparison_table.settings(told) if told else (),
        tables=comparison_table.tables(told, found.against) if told else (),
        charts=(),
        kinds=found.kinds,
        kind=found.kind,
        statistics=found.statistics,
        statistic=found.statistic,
        is_live=found.is_live,
        studies=(),
        most=COMPARED,
        mark="",
    )


def figure(found: Gathered, name: str) -> dict[str, Any]:
    """One of the figures; each is empty where it has nothing to show."""
    letters = dict(zip("ABCDEFGH", found.contenders, strict=False))
    if name == "curves":
        with_losses = {letter: one for letter, one in letters.items() if one.has_losses}
        return plots.curves(with_losses)
    if name in ("best", "equal"):
        compared, against = found.comparison, found.against
        draw = plots.at_best if name == "best" else plots.at_equal_rates
        return draw(compared, against)
    infos = {
        letter: info
        for letter, one in letters.items()
        if (info := comparison_sizes.size_info(one, found.kind, found.statistic))
    }
    if name == "sizes":
        return comparison_sizes.sizes(infos)
    against_letter = list(letters)[found.against]
    if against_letter not in infos:
        return comparison_sizes.sizes({})
    return comparison_sizes.ratios(infos, against_letter)


def _kinds(rows: Sequence[StudyRow]) -> tuple[TensorKind, ...]:
    """The kinds of tensors that all of the studies that measure sizes record."""
    checks = [check for row in rows if (check := row.spec.coordinate_check) is not None]
    return tuple(
        kind
        for kind in TensorKind
        if checks and all(kind in STATISTICS[check.record] for check in checks)
    )


def _statistics(rows: Sequence[StudyRow], kind: TensorKind) -> tuple[Statistic, ...]:
    """What they record of a kind, in the order of a page; none where they measure no size."""
    offered = [
        study_page.statistics(row, kind) for row in rows if row.spec.coordinate_check is not None
    ]
    return (
        tuple(one for one in offered[0] if one in set.intersection(*map(set, offered)))
        if offered
        else ()
    )


def _charts(found: Gathered) -> list[ComparisonChart]:
    """Those that have anything to show."""
    has = {one.quantity for pair in found.comparison.pairs for one in pair.differences}
    wanted = {
        "curves": any(one.has_losses for one in found.contenders),
        "best": Quantity.BEST_LOSS in has,
        "equal": Quantity.EQUAL_RATE in has,
        "sizes": any(one.has_sizes for one in found.contenders),
        "ratios": Quantity.SLOPE in has,
    }
    return [
        ComparisonChart(
            name=name,
            title=title,
            url=urls.comparison_figure(found.chosen, name, **found.view.shown),
            is_difference=name in ("best", "equal", "ratios"),
            summary=str(figure(found, name)["layout"]["meta"]["summary"]),
        )
        for name, title in _CHARTS.items()
        if wanted[name]
    ]


def _choosable(
    conn: Connection, chosen: Mapping[str, StudyRow], view: View
) -> list[ChoosableStudy]:
    """The newest studies with their variants, those of the chosen ones first."""
    newest = {row.id: row for row in studies.page(conn, limit=PAGE_ROWS)}
    rows = {**chosen, **newest}.values()
    return [_choosable_study(row, set(view.chosen)) for row in rows if is_comparable(row)]


def _choosable_study(row: StudyRow, asked: set[str]) -> ChoosableStudy:
    variants = [
        Choosable(value, label, value in asked)
        for key, label in study_page.labels(row).items()
        for value in [f"{row.id}:{key}"]
    ]
    is_open = any(one.is_chosen for one in variants)
    return ChoosableStudy(row.id, row.name, row.spec.kind, is_open, variants)
