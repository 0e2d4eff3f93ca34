"""Success is counted, not believed: what a worker says of its runs, compared with their rows."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from muscope import plan
from muscope.spec import RunSpec
from muscope.stages import hopeless
from muscope.storage.digest import RunDigest
from muscope.storage.leases import Claim
from muscope.storage.measurements import tallies
from muscope.storage.tables import measurement, progress
from muscope.vocabulary import RunState


class Incomplete(RuntimeError):
    """What the database holds is not what the attempt says it wrote: success is not believed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a worker says of a run at its end; count() counts after it.

    A run that is `skipped` was stopped early, and `note` says when and by which rule.
    """

    run_id: int
    state: RunState
    row_count: int
    digest: str
    first_nonfinite_step: int | None = None
    first_nonfinite_tensor: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Counted:
    """What became of every run of an attempt, after its rows were counted; count() makes it."""

    attempt_id: int
    outcomes: tuple[Outcome, ...]


def count(conn: Connection, claim: Claim, outcomes: Sequence[Outcome]) -> Counted:
    """Count every row of every run, or raise Incomplete.

    It may take seconds, so it is done before the transaction that ends the bundle. Nobody but this
    attempt writes its rows, and none twice: what was counted stays so.
    """
    members = {member.run_id: member.spec for member in claim.members}
    if sorted(outcome.run_id for outcome in outcomes) != sorted(members):
        raise Incomplete(
            f"bundle {claim.bundle_id} has the runs {sorted(members)}, "
            f"outcomes came for {sorted(outcome.run_id for outcome in outcomes)}"
        )
    counted = tallies(conn, claim.attempt_id, members)
    diverged = _runs_with_nonfinite(conn, claim.attempt_id, list(members))
    for outcome in outcomes:
        spec = members[outcome.run_id]
        _check_counted(outcome, spec, counted[outcome.run_id])
        _check_state(outcome, diverged=outcome.run_id in diverged)
    return Counted(claim.attempt_id, tuple(outcomes))


def planned_rows(spec: RunSpec, state: RunState) -> int:
    """How many measurements a run that ended in this state has: up to the rung if stopped there."""
    was_stopped = state is RunState.SKIPPED
    return plan.rows(spec, until=hopeless.rung(spec.steps) if was_stopped else None)


def _check_counted(outcome: Outcome, spec: RunSpec, counted: RunDigest) -> None:
    planned = planned_rows(spec, outcome.state)
    if not outcome.row_count == counted.count == planned:
        raise Incomplete(
            f"run {outcome.run_id}: the plan asks for {planned} measurements, the worker wrote "
            f"{outcome.row_count}, the database holds {counted.count}"
        )
    if outcome.digest != counted.hex():
        raise Incomplete(
            f"run {outcome.run_id}: the worker's digest is {outcome.digest}, "
            f"that of the rows in the database {counted.hex()}"
        )


def _check_state(outcome: Outcome, *, diverged: bool) -> None:
    calm = RunState.SKIPPED if outcome.state is RunState.SKIPPED else RunState.FINISHED
    expected = RunState.DIVERGED if diverged else calm
    if outcome.state is not expected:
        raise Incomplete(
            f"run {outcome.run_id} was reported {outcome.state.value}, "
            f"its rows say {expected.value}"
        )


def _runs_with_nonfinite(conn: Connection, attempt_id: int, run_ids: list[int]) -> set[int]:
    found: set[int] = set()
    for table in (measurement, progress):
        query = (
            select(table.c.run_id)
            .distinct()
            .where(
                table.c.run_id.in_(run_ids),
                table.c.attempt_id == attempt_id,
                table.c.nonfinite != 0,
            )
        )
        found.update(conn.execute(query).scalars())
    return found
