"""What a study that has ended offers to add to itself, and what that would cost here."""

from hashlib import sha256

from muscope.extension import Addition
from muscope.settings import Settings
from muscope.spec import StudySpec, canonical_json, digest
from muscope.storage import reuse
from muscope.storage.database import Database
from muscope.storage.studies import StudyRow
from muscope_server import estimates
from muscope_server.contexts import Offer
from muscope_server.errors import Refusal
from muscope_server.services import extending, submission
from muscope_server.study_page.progress import progress


def offer(database: Database, settings: Settings, row: StudyRow) -> Offer | None:
    """What would decide a study; empty where nothing is advised or was added before.

    None while it runs, and for one whose runs nobody can plan.
    """
    spec = row.spec
    if not isinstance(spec, StudySpec) or progress(row).is_live:
        return None
    with database.read() as conn:
        is_extended = bool(reuse.extensions(conn, row.id))
        advised = extending.advice(conn, row.id, spec)
    if is_extended or advised is None:
        return Offer()
    return _advised(database, settings, row.id, advised)


def key(study_id: str, spec: StudySpec) -> str:
    """Of all clicks on one offer, in whatever window, so that they make one study."""
    return "extend-" + sha256(f"{study_id} {digest(spec)}".encode()).hexdigest()[:32]


def _advised(database: Database, settings: Settings, study_id: str, advised: Addition) -> Offer:
    try:
        wanted = extending.extended(database, study_id, advised)
        planned = submission.plan_within_limits(database, settings, wanted.spec)
    except Refusal as refusal:
        return Offer(problem=refusal.message)
    return Offer(
        words=wanted.words,
        plan=planned,
        time=estimates.estimate(database, planned).words,
        addition=canonical_json(wanted.addition),
        key=key(study_id, wanted.spec),
    )
