"""How long a running study still takes, in words."""

from collections.abc import Iterator

from sqlalchemy import Connection

from muscope.reports import formats
from muscope.spec import StudySpec
from muscope.stages import remaining
from muscope.stages.remaining import Asked
from muscope.storage import attempts, budgets, workers
from muscope.storage.studies import StudyRow
from muscope.verdicts.transfer.places import place_of
from muscope.vocabulary import BundleState, StudyState

OPEN = (BundleState.QUEUED, BundleState.RUNNING)


def words(conn: Connection, row: StudyRow) -> str:
    """`about 3 min left`; nothing of a study that does not run, or where no worker is measured."""
    spec = row.spec
    if row.state is not StudyState.RUNNING or not isinstance(spec, StudySpec):
        return ""
    machines = [one.machine for one in workers.alive(conn, within_s=workers.ALIVE_S) if one.machine]
    # where another stage may follow, it is about places where the search has not begun
    begun = None
    if row.stage is not None:
        begun = {place_of(spec, run) for run in budgets.shapes(conn, row.id)}
    seconds = remaining.seconds(spec, list(_asked(conn, row)), machines, begun)
    return f"{formats.about(seconds)} left" if seconds else ""


def _asked(conn: Connection, row: StudyRow) -> Iterator[Asked]:
    steps = {one.bundle_id: one.step or 0 for one in attempts.running(conn)}
    for one in budgets.of_study(conn, row.id):
        if one.reused:
            continue
        taken = one.budget.seconds if one.budget and one.state not in OPEN else None
        done = 1.0
        if one.state in OPEN:
            done = steps.get(one.bundle_id, 0) / (one.spec.steps + 1)
        yield Asked(one.spec, one.runs, done, taken)
