"""How long a study takes on the workers that are there."""

from dataclasses import dataclass

from muscope import timing
from muscope.machine import Machine
from muscope.plan import Plan
from muscope.reports import budget_lines
from muscope.spec import StudySpec
from muscope.stages import outlook
from muscope.storage import workers
from muscope.storage.database import Database
from muscope.storage.workers import WorkerRow


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds, if any living worker was calibrated; and a sentence in either case."""

    seconds: float | None
    words: str


def estimate(database: Database, planned: Plan, spec: StudySpec | None = None) -> Estimate:
    """The time of a plan on the workers that were heard of lately.

    Of a search, with its `spec`, what it usually takes; the plan is the most.
    """
    planned = outlook.likely_plan(spec, planned) if spec else planned
    alive = _alive(database)
    calibrated = [row.machine for row in alive if row.machine]
    return Estimate(
        seconds=timing.study_seconds(planned, calibrated) if calibrated else None,
        words=budget_lines.planned(planned, calibrated, workers=len(alive)),
    )


def machines(database: Database) -> list[Machine]:
    """What the workers that were heard of lately can do, of those that were calibrated."""
    return [row.machine for row in _alive(database) if row.machine]


def _alive(database: Database) -> list[WorkerRow]:
    with database.read() as conn:
        return workers.alive(conn, within_s=workers.ALIVE_S)
