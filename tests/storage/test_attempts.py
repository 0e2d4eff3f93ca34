"""What executes and on what, as pages and reports show it."""

from muscope.storage import attempts, bundles
from muscope.storage.attempts import RunningBundle, Surroundings
from muscope.storage.database import Database
from tests.storage import world


def test_what_runs_is_named_with_its_study_and_step(db: Database) -> None:
    study_id = world.submit(db)
    held = world.claim(db, worker="gpu0")
    world.write(db, held, 0)
    with db.read() as conn:
        assert attempts.waiting(conn) == 1
        assert attempts.running(conn) == [
            RunningBundle("gpu0", held.bundle_id, study_id, "small", step=0)
        ]


def test_surroundings_name_each_combination_once(db: Database) -> None:
    study_id = world.submit(db)
    described = Surroundings("cpu", "2.13.0", "test", "d1g3st", 2, "highest")
    while (held := world.try_claim(db)) is not None:
        with db.write() as conn:
            bundles.describe_attempt(
                conn,
                held,
                torch_version="2.13.0",
                device="cpu",
                data_digest="d1g3st",
                threads=2,
                matmul_precision="highest",
            )
        world.complete(db, held)
    with db.read() as conn:
        assert attempts.surroundings(conn, study_id) == [described]
