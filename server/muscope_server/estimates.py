"""How long a study takes on the workers that are there."""

from dataclasses import dataclass

from muscope import timing
from muscope.plan import Plan
from muscope.reports import budget_lines
from muscope.storage import workers
from muscope.storage.database import Database
from muscope_server.waiting import ALIVE_S


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds, if any living worker was calibrated; and a sentence in either case."""

    seconds: float | None
    words: str


def estimate(database: Database, planned: Plan) -> Estimate:
    """The time of a plan on the workers that were heard of lately."""
    with database.read() as conn:
        alive = workers.alive(conn, within_s=ALIVE_S)
    machines = [row.machine for row in alive if row.machine]
    return Estimate(
        seconds=timing.study_seconds(planned, machines) if machines else None,
        words=budget_lines.planned(planned, machines, workers=len(alive)),
    )
