"""What a study need not train: the runs of the one that it extends, and what that one extends.

A run is reused when its spec has the same digest, it finished or diverged, and the attempt that was
accepted had the same code version. Nothing is copied: the run of the new study stands on its own
row and refers to the one that was trained, whose rows every reader then reads (ADR 34).
"""

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, exists, select

from muscope import __version__, extension, plan
from muscope.plan import Plan
from muscope.recorded import stored
from muscope.spec import StudySpec, digest
from muscope.storage import endings, plugins
from muscope.storage.holders import Source, Sources
from muscope.storage.leases import lock_study
from muscope.storage.tables import attempt, run, study
from muscope.vocabulary import RunState, StudyIntent

REUSABLE = (RunState.FINISHED, RunState.DIVERGED)

_COPIED = (
    "bundle_id", "state", "accepted_attempt", "row_count", "digest", "first_nonfinite_step",
    "first_nonfinite_tensor", "ended_at",
)  # fmt: skip


class CannotExtend(ValueError):
    """Why a study cannot be extended, and what to do."""


class NoSuchStudy(CannotExtend):
    """There is nothing to extend under this id."""


class StillRuns(CannotExtend):
    """What a study has trained can only be reused once nothing more comes."""


class CannotGrow(CannotExtend):
    """A study of which more runs cannot be planned."""


def check(conn: Connection, spec: StudySpec) -> None:
    """Raise what stands in the way of a study that extends another; nothing for any other."""
    if spec.extends is None:
        return
    old = _extended(conn, spec.extends)
    extension.check(old, spec)


def extendable(conn: Connection, study_id: str) -> StudySpec:
    """The spec of a study that can be extended now; or raise why it cannot."""
    return _extended(conn, study_id)


def equal(conn: Connection, spec: StudySpec) -> str | None:
    """The study that adds the same to the same one, unless it was cancelled or a run of it failed.

    A second one would train the same runs again. Who asks at the same moment waits for the answer.
    """
    if spec.extends is None:
        return None
    lock_study(conn, spec.extends)
    lost = run.c.state.in_((RunState.FAILED, RunState.OUT_OF_MEMORY, RunState.CANCELLED))
    same = select(study.c.id).where(
        study.c.extends == spec.extends,
        study.c.spec_digest == digest(spec),
        study.c.intent == StudyIntent.OPEN,
        study.c.deleted_at.is_(None),
        ~exists().where(run.c.study_id == study.c.id, lost),
    )
    return conn.execute(same.order_by(study.c.created_at).limit(1)).scalar()


def of(conn: Connection, spec: StudySpec) -> "Reuse":
    """What a study can reuse; nothing if it extends none."""
    rows = [] if spec.extends is None else _rows(conn, spec.extends)
    found = _sources(rows)
    # what another study between did not reuse says nothing new
    nearest = [row for row in rows if row.study_id == spec.extends]
    return Reuse(found, nearest)


@dataclass(frozen=True, slots=True)
class Reuse:
    """The runs that need no training, and all that the extended study has."""

    sources: Sources
    there: Sequence[Row[*tuple[object, ...]]]

    def left_of(self, whole: Plan) -> Plan:
        """What is to be trained of the plan of a study."""
        if not self.there:
            return whole
        wanted = {digest(one) for bundle in whole.bundles for one in bundle.runs}
        reused = wanted.intersection(self.sources)
        again = [row for row in self.there if row.spec_digest not in reused]
        reasons = Counter(_reason(row, wanted) for row in again)
        said = tuple(f"{count} {reason}" for reason, count in reasons.items())
        return plan.without(whole, self.sources, not_reused=said)


def extensions(conn: Connection, study_id: str) -> list[tuple[str, str]]:
    """Id and name of the studies that extend this one, the oldest first."""
    query = select(study.c.id, study.c.name).where(
        study.c.extends == study_id, study.c.deleted_at.is_(None)
    )
    return [(row.id, row.name) for row in conn.execute(query.order_by(study.c.created_at))]


def holds_back(conn: Connection, study_id: str) -> list[str]:
    """The studies that read rows of this one, so that these must not be deleted.

    The database refuses it too: a run that another one reuses cannot be removed.
    """
    own = select(run.c.id).where(run.c.study_id == study_id)
    query = select(run.c.study_id).distinct().where(run.c.reuses.in_(own))
    return list(conn.execute(query.order_by(run.c.study_id)).scalars())


def _extended(conn: Connection, study_id: str) -> StudySpec:
    row = conn.execute(select(study).where(study.c.id == study_id)).first()
    if row is None or row.deleted_at is not None or row.intent == StudyIntent.DELETED:
        raise NoSuchStudy(
            f"there is no study {study_id!r} here to extend; take the id at the end of its address"
        )
    plugins.teach(conn, row.spec_json)
    spec = stored(row.spec_json)
    if not isinstance(spec, StudySpec):
        raise CannotGrow(
            f"study {study_id} was recorded by somebody's own training, so there is nothing to "
            "plan; record more seeds or widths into it"
        )
    goes_on = select(run.c.id).where(run.c.study_id == study_id, endings.OPEN_RUN).limit(1)
    waits = row.stage is not None and row.intent == StudyIntent.OPEN
    if waits or conn.execute(goes_on).first() is not None:
        raise StillRuns(
            f"study {study_id} still runs; wait until it has ended, or cancel it, then extend it"
        )
    return spec


def _chain(conn: Connection, study_id: str) -> Iterator[str]:
    """A study, the one that it extends, and so on; each is older than the one before."""
    following: str | None = study_id
    while following is not None:
        yield following
        query = select(study.c.extends).where(study.c.id == following)
        following = conn.execute(query).scalar()


def _rows(conn: Connection, study_id: str) -> Sequence[Row[*tuple[object, ...]]]:
    """The runs of a chain of studies with the code that trained them, the nearest study first."""
    columns = ("id", "study_id", "spec_digest", "reuses", "octave", *_COPIED)
    found: list[Row[*tuple[object, ...]]] = []
    for one in _chain(conn, study_id):
        query = (
            select(*(run.c[name] for name in columns), attempt.c.code_version)
            .outerjoin(attempt, attempt.c.id == run.c.accepted_attempt)
            .where(run.c.study_id == one)
            .order_by(run.c.ordinal)
        )
        found.extend(conn.execute(query))
    return found


def _sources(rows: Sequence[Row[*tuple[object, ...]]]) -> dict[str, Source]:
    """The newest of equals; rows are those of the run that was trained, not of one between."""
    found: dict[str, Source] = {}
    for row in rows:
        if row.state in REUSABLE and plugins.is_code_of(row.code_version, __version__):
            values = {name: getattr(row, name) for name in _COPIED}
            found.setdefault(row.spec_digest, Source(row.reuses or row.id, values))
    return found


def _reason(row: Row[*tuple[object, ...]], wanted: Container[str]) -> str:
    if row.spec_digest not in wanted:
        return "differ in their spec"
    match RunState(row.state):
        case RunState.FINISHED | RunState.DIVERGED:
            return f"trained by muscope {row.code_version}, this is {__version__}"
        case RunState.SKIPPED:
            return "stopped early"
        case RunState.OUT_OF_MEMORY:
            return "out of memory"
        case state:
            return state.value
