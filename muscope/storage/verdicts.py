"""Verdicts: written by the worker that judged, read by everyone."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, func, insert, or_, select

from muscope.recorded import KIND as RECORDED
from muscope.recorded import AnySpec, RecordedVariant, stored
from muscope.spec import Variant
from muscope.storage import endings, events, plugins
from muscope.storage.database import now
from muscope.storage.leases import lock_study
from muscope.storage.tables import attempt, recording, run, study, verdict
from muscope.verdicts.hyperparameters.types import SearchJudgement
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import AttemptState, CellVerdict, SearchVerdict, TransferVerdict

LIVE_S = 60.0
"""A study that is recorded for days is judged so often, while it goes on."""


AnyVerdict: TypeAlias = VariantVerdict | TransferJudgement | SearchJudgement
"""What a study of any kind is judged by."""

WORDS: Mapping[str, type[TransferVerdict] | type[SearchVerdict]] = {
    "lr_transfer": TransferVerdict,
    "hyperparameter_search": SearchVerdict,
}
"""The words of a verdict by its kind; the others have those of a cell."""


@dataclass(frozen=True, slots=True)
class VerdictSummary:
    """The badge of one variant, in one part of its study."""

    variant: str
    verdict: CellVerdict | TransferVerdict | SearchVerdict
    final: bool
    runs_judged: int
    kind: str = "coordinate_check"


def save(conn: Connection, study_id: str, verdicts: Sequence[AnyVerdict]) -> None:
    """Replace the verdicts of a study, unless those that stand know more.

    Of two workers that judge at once, the one that read first may be the one that saves last.
    """
    final = all(entry.final for entry in verdicts)
    runs_judged = sum(entry.runs_judged for entry in verdicts)
    lock_study(conn, study_id)
    if not verdicts or _standing(conn, study_id) > (final, runs_judged):
        return
    if final and _is_outdated(conn, study_id, runs_judged=runs_judged):
        return  # it is unjudged still, and whoever looks will judge it
    conn.execute(delete(verdict).where(verdict.c.study_id == study_id))
    kind = conn.execute(select(study.c.kind).where(study.c.id == study_id)).scalar_one()
    for entry in verdicts:
        conn.execute(
            insert(verdict).values(
                study_id=study_id,
                variant=entry.variant,
                kind=_kind(entry, kind),
                final=int(entry.final),
                verdict=entry.verdict,
                runs_judged=entry.runs_judged,
                verdict_json=entry.model_dump_json(),
                judged_at=now(),
            )
        )
    events.append(conn, study_id, "verdict", data={"final": final})


def _kind(entry: AnyVerdict, of_study: str) -> str:
    """What a verdict speaks of: a study's own kind, but for the check beside a sweep."""
    if isinstance(entry, TransferJudgement):
        return "lr_transfer"
    if isinstance(entry, SearchJudgement):
        return "hyperparameter_search"
    return RECORDED if of_study == RECORDED else "coordinate_check"


def of_study(conn: Connection, study_id: str) -> list[VariantVerdict]:
    """The verdicts on sizes of a study, planned or recorded, in the order of its spec.

    A learning-rate study has some if it runs a coordinate check too.
    """
    texts = _texts(conn, study_id, "coordinate_check", RECORDED)
    return [VariantVerdict.model_validate_json(text) for text in texts]


def of_transfer(conn: Connection, study_id: str) -> list[TransferJudgement]:
    """The verdicts of a learning-rate study, in the order of its spec; none of another study."""
    texts = _texts(conn, study_id, "lr_transfer")
    return [TransferJudgement.model_validate_json(text) for text in texts]


def of_search(conn: Connection, study_id: str) -> list[SearchJudgement]:
    """The verdicts of a hyperparameter search, in the order of its spec; none of another study."""
    texts = _texts(conn, study_id, "hyperparameter_search")
    return [SearchJudgement.model_validate_json(text) for text in texts]


def _texts(conn: Connection, study_id: str, *kinds: str) -> list[str]:
    query = (
        select(verdict.c.variant, verdict.c.verdict_json)
        .join(study, study.c.id == verdict.c.study_id)
        .where(study.c.id == study_id, verdict.c.kind.in_(kinds))
    )
    order = _order(conn, [study_id]).get(study_id, {})
    rows = sorted(conn.execute(query), key=lambda row: order[row.variant])
    return [row.verdict_json for row in rows]


def of_studies(conn: Connection, ids: Iterable[str]) -> dict[str, list[VerdictSummary]]:
    """The badges of several studies, each in the order of its spec."""
    ids = list(ids)
    columns = ("study_id", "variant", "kind", "verdict", "final", "runs_judged")
    query = select(*(verdict.c[name] for name in columns))
    found: dict[str, list[VerdictSummary]] = {study_id: [] for study_id in ids}
    for row in conn.execute(query.where(verdict.c.study_id.in_(ids))):
        words = WORDS.get(row.kind, CellVerdict)
        found[row.study_id].append(
            VerdictSummary(
                row.variant, words(row.verdict), bool(row.final), row.runs_judged, row.kind
            )
        )
    order = _order(conn, ids)
    for study_id, summaries in found.items():
        summaries.sort(key=lambda entry: (order[study_id][entry.variant], entry.kind))
    return found


def unjudged(conn: Connection) -> list[str]:
    """Studies with runs that ended with rows and that no verdict counts.

    Final verdicts count everything; without them, a study that has ended is unjudged too. So is
    one whose recordings have gone on for a minute since it was judged.
    """
    of_this = run.c.study_id == study.c.id
    with_rows = and_(of_this, run.c.accepted_attempt.is_not(None))
    rows = select(func.count()).select_from(run).where(with_rows).scalar_subquery()
    judged = select(func.coalesce(func.sum(verdict.c.runs_judged), 0))
    counted = judged.where(verdict.c.study_id == study.c.id).scalar_subquery()
    ended = or_(~exists().where(of_this, endings.OPEN_RUN), rows > counted)
    query = select(study.c.id).where(
        ~_is_finally_judged(),
        or_(and_(exists().where(with_rows), ended), _has_gone_on()),
    )
    return list(conn.execute(query.order_by(study.c.created_at)).scalars())


def _has_gone_on() -> ColumnElement[bool]:
    """Whether a recording that is open has sent something since the study was judged."""
    last = select(func.coalesce(func.max(verdict.c.judged_at), 0.0))
    judged_at = last.where(verdict.c.study_id == study.c.id).scalar_subquery()
    return exists().where(
        recording.c.study_id == study.c.id,
        recording.c.heard_at > judged_at + LIVE_S,
        attempt.c.id == recording.c.attempt_id,
        attempt.c.state == AttemptState.RUNNING,
        attempt.c.last_step.is_not(None),
    )


def _is_outdated(conn: Connection, study_id: str, *, runs_judged: int) -> bool:
    """Whether a recorded study, which nobody plans, has grown while its last runs were judged."""
    recorded = select(study.c.id).where(study.c.id == study_id, study.c.kind == RECORDED)
    if conn.execute(recorded).first() is None:
        return False
    of_this = run.c.study_id == study_id
    open_run = select(run.c.id).where(of_this, endings.OPEN_RUN).limit(1)
    ended = select(func.count()).where(of_this, run.c.accepted_attempt.is_not(None))
    is_open = conn.execute(open_run).first() is not None
    return is_open or conn.execute(ended).scalar_one() != runs_judged


def _is_finally_judged() -> ColumnElement[bool]:
    """Whether there are verdicts and each is final; a variant may be decided before the others."""
    of_this = verdict.c.study_id == study.c.id
    return and_(exists().where(of_this), ~exists().where(of_this, verdict.c.final == 0))


def _standing(conn: Connection, study_id: str) -> tuple[bool, int]:
    """Whether the verdicts that stand are final, and how many runs they count."""
    columns = (func.coalesce(func.min(verdict.c.final), 0), func.sum(verdict.c.runs_judged))
    final, counted = conn.execute(select(*columns).where(verdict.c.study_id == study_id)).one()
    return bool(final), int(counted or 0)


def _order(conn: Connection, ids: list[str]) -> dict[str, dict[str, int]]:
    query = select(study.c.id, study.c.spec_json).where(study.c.id.in_(ids))
    rows = conn.execute(query).all()
    plugins.teach(conn, *(row.spec_json for row in rows))
    return {row.id: _places(stored(row.spec_json)) for row in rows}


def _places(spec: AnySpec) -> dict[str, int]:
    variants: Sequence[Variant | RecordedVariant] = spec.variants
    return {entry.key: number for number, entry in enumerate(variants)}
