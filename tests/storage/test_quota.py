"""What limits on submission are compared with."""

from sqlalchemy import update

from muscope.storage import quota
from muscope.storage.database import Database
from muscope.storage.tables import study
from tests.storage import world


def test_the_load_counts_studies_of_the_last_hour_and_queued_runs(db: Database) -> None:
    with db.read() as conn:
        assert quota.load(conn) == quota.Load(0, 0.0, 0)
    old = world.complete_study(db)
    with db.write() as conn:
        aged = update(study).where(study.c.id == old)
        conn.execute(aged.values(created_at=study.c.created_at - 2 * quota.HOUR_S))
    world.submit(db)
    with db.read() as conn:
        load = quota.load(conn)
    assert (load.recent_studies, load.queued_runs) == (1, 8)
    assert 0 < load.relief_s <= quota.HOUR_S
