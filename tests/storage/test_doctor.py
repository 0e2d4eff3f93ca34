"""The doctor: finds what was planted, says nothing of the healthy."""

import pytest
from sqlalchemy import text

from muscope.storage import bundles, doctor, studies
from muscope.storage.database import Database
from tests.storage import world

PLANTED = [
    ("DELETE FROM event WHERE seq = 2", "numbered 1, 2, 3 … up to its event_seq"),
    ("UPDATE event SET to_state = 'failed' WHERE to_state = 'finished'", "each from where the"),
    ("UPDATE run SET state = 'cancelled' WHERE id = 1", "each from where the last one led"),
    ("DELETE FROM measurement WHERE run_id = 1 AND step = 1", "as many rows as it says"),
    ("UPDATE measurement SET l1 = 2 * l1 WHERE run_id = 1", "Run 1 has the digest"),
    ("UPDATE run SET state = 'diverged' WHERE id = 1", "exactly when a value of it is not finite"),
    ("UPDATE measurement SET nonfinite = 1 WHERE run_id = 1", "a value of it is not finite"),
    ("UPDATE run SET accepted_attempt = NULL WHERE id = 1", "has accepted nothing; a result has"),
    ("UPDATE run SET accepted_attempt = 2 WHERE id = 1", "the latest of the run's own bundle"),
    ("UPDATE attempt SET attempt_no = 7 WHERE id = 1", "are numbered 1, 2, 3 … without a gap"),
    ("UPDATE attempt SET ended_at = NULL WHERE id = 1", "an end exactly when it does not run"),
    ("UPDATE attempt SET state = 'running' WHERE id = 1", "exactly while its latest attempt is"),
    ("UPDATE attempt SET resumed_from = 1, resumed_step = 1 WHERE id = 1", "names it and the step"),
    ("UPDATE bundle SET lease_until = 1 WHERE id = 1", "while it holds a lease"),
    ("UPDATE run SET state = 'out_of_memory' WHERE id = 1", "was alone in its bundle"),
    ("UPDATE run SET state = 'skipped' WHERE id = 1", "one of a search, says why"),
    ("UPDATE run SET state = 'skipped' WHERE id = 1", "Run 1 is skipped with 12 of 8"),
    ("UPDATE run SET ended_at = NULL WHERE id = 1", "an end exactly when its state is terminal"),
    ("UPDATE bundle SET state = 'queued' WHERE id = 1", "they wait or run with it"),
    ("UPDATE study SET intent = 'cancelled'", "nothing waits in a study that was cancelled"),
    (
        "UPDATE run SET seed = 0, row_count = row_count WHERE variant = "
        "(SELECT variant FROM run WHERE id = 1)",
        "of one place in the grid once",
    ),
]


@pytest.mark.parametrize(("damage", "sentence"), PLANTED)
def test_the_doctor_finds_what_was_planted(database: Database, damage: str, sentence: str) -> None:
    world.submit(database)
    world.complete(database, world.claim(database))
    world.complete(database, world.claim(database))
    world.submit(database)
    with database.write() as conn:
        conn.execute(text(damage))
        assert sentence in "\n".join(doctor.violations(conn))


def test_the_doctor_says_nothing_in_the_middle_of_work(database: Database) -> None:
    """Waiting, running, handed back, lost, cancelled and finished, all at once."""
    world.submit(database, world.small_spec(widths=(8, 9, 10, 11, 12)))
    for end in (bundles.hand_back, bundles.cancelled):
        held = world.claim(database)
        world.write(database, held, 0)
        with database.write() as conn:
            end(conn, held)
    world.complete(database, world.claim(database), nan_in=[0])
    world.write(database, world.claim(database), 0)
    other = world.submit(database)
    with database.write() as conn:
        studies.cancel(conn, other)
        assert doctor.violations(conn) == []


def test_many_subjects_are_counted_not_listed(database: Database) -> None:
    world.submit(database)
    with database.write() as conn:
        conn.execute(text("UPDATE run SET ended_at = 1"))
        found = doctor.quick_violations(conn)
    assert found == [
        "Not so for 1, 2, 3, 4, 5 and 3 more: a run has an end exactly when its state is terminal."
    ]
