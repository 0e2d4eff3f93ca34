"""Verdicts: written by the worker that judged, read by everyone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, insert, select

from muscope.spec import StudySpec
from muscope.storage import endings, events
from muscope.storage.database import now
from muscope.storage.tables import run, study, verdict
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict


@dataclass(frozen=True, slots=True)
class VerdictSummary:
    """The badge of one variant."""

    variant: str
    verdict: CellVerdict
    final: bool
    runs_judged: int


def save(conn: Connection, study_id: str, verdicts: Sequence[VariantVerdict]) -> None:
    """Replace the verdicts of a study, unless final ones would give way to provisional ones."""
    final = all(entry.final for entry in verdicts)
    if not verdicts or (not final and _is_final(conn, study_id)):
        return
    conn.execute(delete(verdict).where(verdict.c.study_id == study_id))
    for entry in verdicts:
        conn.execute(
            insert(verdict).values(
                study_id=study_id,
                variant=entry.variant,
                final=int(entry.final),
                verdict=entry.verdict,
                runs_judged=entry.runs_judged,
                verdict_json=entry.model_dump_json(),
                judged_at=now(),
            )
        )
    events.append(conn, study_id, "verdict", data={"final": final})


def of_study(conn: Connection, study_id: str) -> list[VariantVerdict]:
    """The verdicts of a study, in the order of its spec."""
    query = select(verdict.c.verdict_json).where(verdict.c.study_id == study_id)
    found = [VariantVerdict.model_validate_json(text) for text in conn.execute(query).scalars()]
    order = _order(conn, [study_id]).get(study_id, {})
    return sorted(found, key=lambda entry: order[entry.variant])


def of_studies(conn: Connection, ids: Iterable[str]) -> dict[str, list[VerdictSummary]]:
    """The badges of several studies, each in the order of its spec."""
    ids = list(ids)
    columns = (
        verdict.c.study_id, verdict.c.variant, verdict.c.verdict, verdict.c.final,
        verdict.c.runs_judged,
    )  # fmt: skip
    found: dict[str, list[VerdictSummary]] = {study_id: [] for study_id in ids}
    for row in conn.execute(select(*columns).where(verdict.c.study_id.in_(ids))):
        summary = VerdictSummary(
            row.variant, CellVerdict(row.verdict), bool(row.final), row.runs_judged
        )
        found[row.study_id].append(summary)
    order = _order(conn, ids)
    for study_id, summaries in found.items():
        summaries.sort(key=lambda entry: order[study_id][entry.variant])
    return found


def unjudged(conn: Connection) -> list[str]:
    """Studies whose runs have all ended, some with rows, that lack a final verdict."""
    of_this = run.c.study_id == study.c.id
    query = select(study.c.id).where(
        exists().where(of_this, run.c.accepted_attempt.is_not(None)),
        ~exists().where(of_this, endings.OPEN_RUN),
        ~exists().where(verdict.c.study_id == study.c.id, verdict.c.final == 1),
    )
    return list(conn.execute(query.order_by(study.c.created_at)).scalars())


def _is_final(conn: Connection, study_id: str) -> bool:
    query = select(verdict.c.variant).where(verdict.c.study_id == study_id, verdict.c.final == 1)
    return conn.execute(query.limit(1)).first() is not None


def _order(conn: Connection, ids: list[str]) -> dict[str, dict[str, int]]:
    query = select(study.c.id, study.c.spec_json).where(study.c.id.in_(ids))
    return {
        row.id: {entry.key: number for number, entry in enumerate(_spec(row.spec_json).variants)}
        for row in conn.execute(query)
    }


def _spec(text: str) -> StudySpec:
    return StudySpec.model_validate_json(text)
