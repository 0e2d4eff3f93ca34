"""Workers: alive by the database's clock."""

from dataclasses import replace

from muscope.storage import workers
from muscope.storage.database import Database
from muscope.storage.workers import WorkerRow
from tests.core.machines import ROUND


def test_a_worker_lives_while_it_beats(db: Database) -> None:
    row = WorkerRow("w1", "host", 1, "cpu", 2**40, "muscope", 1, '{"muscope": "0.1"}')
    with db.write() as conn:
        workers.beat(conn, row)
        first = workers.alive(conn, within_s=60)[0]
        workers.beat(conn, row)
        again = workers.alive(conn, within_s=60)[0]
        assert workers.alive(conn, within_s=-60) == []
        assert len(workers.all_workers(conn)) == 1
    assert first.memory == 2**40
    assert again.started_at == first.started_at
    assert again.heartbeat_at is not None
    assert first.heartbeat_at is not None
    assert again.heartbeat_at >= first.heartbeat_at


def test_another_process_under_the_same_name_is_a_new_start(db: Database) -> None:
    row = WorkerRow("w1", "host", 1, "cpu", 1, "muscope", 1, "0")
    with db.write() as conn:
        workers.beat(conn, row)
        before = workers.all_workers(conn)[0].started_at
    with db.write() as conn:
        workers.beat(conn, WorkerRow("w1", "host", 2, "cpu", 1, "muscope", 1, "0"))
        (after,) = workers.all_workers(conn)
    assert after.pid == 2
    assert after.started_at is not None
    assert before is not None
    assert after.started_at > before


def test_a_heartbeat_alone_overwrites_nothing(db: Database) -> None:
    row = WorkerRow("w1", "host", 1, "cpu", 1, "muscope", 1, "0")
    with db.write() as conn:
        assert not workers.still_alive(conn, row)  # no row yet
        workers.beat(conn, row)
        assert workers.still_alive(conn, WorkerRow("w1", "", 1, "gpu", 0, "", 1, ""))
        assert not workers.still_alive(conn, WorkerRow("w1", "", 2, "gpu", 0, "", 1, ""))
        assert workers.all_workers(conn)[0].device == "cpu"


def test_a_calibration_is_kept_until_the_worker_starts_anew(db: Database) -> None:
    row = WorkerRow("w1", "host", 1, "cpu", 1, "muscope", 1, "0")
    with db.write() as conn:
        workers.beat(conn, row)
        assert workers.machine(conn, "w1") is None
        workers.beat(conn, replace(row, machine=ROUND))
        workers.beat(conn, row)  # the parent, which knows of no machine
        assert workers.all_workers(conn)[0].machine == ROUND
        faster = ROUND.model_copy(update={"threads": 2})
        workers.note_machine(conn, "w1", faster)
        assert workers.machine(conn, "w1") == faster
        workers.beat(conn, replace(row, pid=2))
        assert workers.machine(conn, "w1") is None


def test_the_living_workers_of_a_host_are_counted(db: Database) -> None:
    with db.write() as conn:
        for name, host in (("a", "here"), ("b", "here"), ("c", "there")):
            workers.beat(conn, WorkerRow(name, host, 1, "cpu", 1, "muscope", 1, "0"))
        assert workers.on_host(conn, "here", within_s=60) == 2
        assert workers.on_host(conn, "here", within_s=-60) == 0
