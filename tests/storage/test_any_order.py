"""Whatever happens in whatever order: no invariant breaks, and in the end all work is done."""

import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import pytest
from sqlalchemy import Connection, update

from muscope.records import StepRecord
from muscope.storage import bundles, doctor, measurements, reap, studies
from muscope.storage.bundles import Claim, LeaseLost
from muscope.storage.database import Database
from muscope.storage.tables import bundle
from muscope.vocabulary import BundleState, StudyState
from tests.storage import world

ACTS = 60
ENDED = {StudyState.FINISHED, StudyState.FAILED, StudyState.CANCELLED}


class Chaos:
    """Workers that write, die, vanish, hand back and wake up late; users that cancel."""

    def __init__(self, db: Database, seed: int) -> None:
        self.db = db
        self.random = random.Random(seed)
        self.claims: list[Claim] = []
        self.studies: list[str] = []

    def act(self) -> None:
        """Do one thing to a claim that may have been lost long ago."""
        common: list[Callable[[], None]] = [self.claim, self.write, self.finish]
        rare = [self.submit, self.die, self.expire, self.hand_back, self.obey, self.cancel]
        self.random.choice([*common * 4, *rare, self.run_out, self.set_apart])()

    def submit(self) -> None:
        spec = world.small_spec(seeds=self.random.choice((1, 2)), steps=1)
        self.studies.append(world.submit(self.db, spec))

    def cancel(self) -> None:
        with self.db.write() as conn:
            studies.cancel(conn, self.random.choice(self.studies))

    def claim(self) -> None:
        with self.db.write() as conn:
            conn.execute(update(bundle).values(not_before=None))  # instead of waiting
        found = world.try_claim(self.db, lease_s=self.random.choice((0, 60, 60)))
        if found is not None:
            self.claims.append(found)

    def write(self) -> None:
        step = self.random.choice((0, 1))
        self.with_a_claim(lambda conn, held: measurements.write(conn, held, record(held, step)))

    def finish(self) -> None:
        self.with_a_claim(finish)

    def hand_back(self) -> None:
        self.with_a_claim(bundles.hand_back)

    def run_out(self) -> None:
        self.with_a_claim(lambda conn, held: bundles.out_of_memory(conn, held, text="full"))

    def set_apart(self) -> None:
        """Right after the claim: the runs that leave have no rows of this attempt."""
        held = world.try_claim(self.db)
        if held is not None:
            most = self.random.choice((1, 2, 3))
            with self.db.write() as conn:
                bundles.set_apart(conn, held, most=most, text="small")
            self.claims.append(replace(held, members=held.members[:most]))

    def obey(self) -> None:
        self.with_a_claim(obey)

    def die(self) -> None:
        self.with_a_claim(
            lambda conn, held: bundles.lost(
                conn, held.attempt_id, reason="signal 9", counts_as_loss=True
            )
        )

    def expire(self) -> None:
        reap.reap(self.db, resend_s=60)

    def with_a_claim(self, work: Callable[[Connection, Claim], None]) -> None:
        if self.claims:
            with suppress(LeaseLost), self.db.write() as conn:
                work(conn, self.random.choice(self.claims[-4:]))

    def drain(self) -> None:
        """One careful worker does what is left."""
        with self.db.write() as conn:
            expired = update(bundle).where(bundle.c.state == BundleState.RUNNING)
            conn.execute(expired.values(lease_until=0))
        reap.reap(self.db, resend_s=60)
        self.claims.clear()
        while self.claim() or self.claims:
            with self.db.write() as conn:
                finish(conn, self.claims.pop())


def record(held: Claim, step: int) -> StepRecord:
    """The same numbers in every attempt; one seed diverges."""
    seeds = [member.spec.seed for member in held.members]
    return world.record(held, step, nan_in=[seeds.index(1)] if step and 1 in seeds else [])


def finish(conn: Connection, held: Claim) -> None:
    records = [record(held, step) for step in (0, 1)]
    for written in records:
        measurements.write(conn, held, written)
    bundles.finish(conn, held, bundles.count(conn, held, world.outcomes(held, records)))


def obey(conn: Connection, held: Claim) -> None:
    if bundles.heartbeat(conn, held, lease_s=60, step=None):
        bundles.cancelled(conn, held)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_breaks_and_everything_ends(database: Database, seed: int) -> None:
    chaos = Chaos(database, seed)
    chaos.submit()
    for number in range(ACTS):
        chaos.act()
        if number % 16 == 0:
            with database.read() as conn:
                assert doctor.violations(conn) == []
    chaos.drain()
    with database.read() as conn:
        assert doctor.violations(conn) == []
        assert {row.state for row in studies.page(conn)} <= ENDED
