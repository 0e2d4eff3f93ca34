"""What a reader chose to compare, as far as there is such, and how far it has come."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from muscope.recording import STATISTICS
from muscope.storage import studies, verdicts
from muscope.storage.studies import StudyRow
from muscope.vocabulary import Statistic, TensorKind
from muscope_server.deps import is_study_id
from muscope_server.study_page.asked import FIRST, labels, statistics_of
from muscope_server.study_page.progress import progress


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
class Chosen:
    """The chosen variants as far as there are such, and what can be shown of them."""

    view: View
    rows: Mapping[str, StudyRow]
    known: Sequence[tuple[StudyRow, str]]
    missing: int
    searches: int
    kinds: tuple[TensorKind, ...]
    kind: TensorKind
    statistics: tuple[Statistic, ...]
    statistic: Statistic
    mark: str

    @property
    def names(self) -> tuple[str, ...]:
        """Each as it is named in the URL."""
        return tuple(f"{row.id}:{variant}" for row, variant in self.known)

    @property
    def live(self) -> list[StudyRow]:
        """The studies that go on."""
        return [row for row in self.rows.values() if progress(row).is_live]

    @property
    def against(self) -> int:
        """The place of the variant that is subtracted: the first unless another is named."""
        wanted = self.view.against
        return self.names.index(wanted) if wanted in self.names else 0

    @property
    def question(self) -> Hashable:
        """All that the comparison depends on."""
        return self.names, self.against, self.kind, self.statistic, self.mark


def choose(conn: Connection, view: View) -> Chosen:
    """Look which of the chosen variants there are, and how far their studies have come."""
    chosen = [tuple(one.partition(":")[::2]) for one in dict.fromkeys(view.chosen)]
    rows = rows_of(conn, view.chosen)
    there = [
        (rows[study_id], variant)
        for study_id, variant in chosen
        if study_id in rows and variant in labels(rows[study_id])
    ]
    known = [(row, variant) for row, variant in there if is_comparable(row)]
    kinds = _kinds([row for row, _ in known])
    kind = view.kind if view.kind in kinds else TensorKind.ACTIVATION
    statistics = _statistics([row for row, _ in known], kind)
    wanted = view.statistic if view.statistic in statistics else None
    shown = {row.id: row for row, _ in known}
    return Chosen(
        view=view,
        rows=shown,
        known=known,
        missing=len(chosen) - len(there),
        searches=len(there) - len(known),
        kinds=kinds,
        kind=kind,
        statistics=statistics,
        statistic=wanted or next(iter(statistics), FIRST[0]),
        mark=_mark(conn, shown),
    )


def is_comparable(row: StudyRow) -> bool:
    """Whether variants of a study have losses or sizes of their own; a search has ranked sets."""
    return row.spec.kind != "hyperparameter_search"


def rows_of(conn: Connection, chosen: Sequence[str]) -> dict[str, StudyRow]:
    """The studies of what was chosen, by id."""
    ids = dict.fromkeys(one.partition(":")[0] for one in chosen)
    return {one: row for one in ids if is_study_id(one) and (row := studies.get(conn, one))}


def _mark(conn: Connection, known: Mapping[str, StudyRow]) -> str:
    """Changes when a run of the studies has ended, or a verdict was made of more runs."""
    judged = verdicts.of_studies(conn, list(known))
    return "-".join(
        f"{progress(row).ended}.{sum(one.runs_judged + one.final for one in of)}"
        for row in known.values()
        for of in [judged[row.id]]
    )


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
    offered = [statistics_of(row, kind) for row in rows if row.spec.coordinate_check is not None]
    return (
        tuple(one for one in offered[0] if one in set.intersection(*map(set, offered)))
        if offered
        else ()
    )
