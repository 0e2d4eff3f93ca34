"""Ending and judging hold nobody up; a missing judgement is made up for, an old one gives way."""

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from muscope.storage import counting, studies, verdicts
from muscope.storage.database import Database
from muscope.storage.doctor import violations
from muscope.verdicts import judge
from muscope_worker import execute
from muscope_worker.execute import TrainingProcess, next_bundle
from muscope_worker.judgement import catch_up

DIES_BEFORE_JUDGING = """
import os, signal, sys
from pathlib import Path
from muscope.settings import Settings
from muscope.storage.database import open_database
from muscope_worker import execute

execute.catch_up = lambda *_, **how: os.kill(os.getpid(), signal.SIGKILL)
settings = Settings(data_dir=Path(sys.argv[1]), threads=1)
process = execute.TrainingProcess(settings, open_database(settings), worker_id="dying@here")
execute.next_bundle(process)
"""


def finals(db: Database, study_id: str) -> list[tuple[bool, int]]:
    """Of each verdict, whether it is final and how many runs it counts."""
    with db.read() as conn:
        return [(entry.final, entry.runs_judged) for entry in verdicts.of_study(conn, study_id)]


def unjudged(db: Database) -> list[str]:
    """What the supervisors would ask to be judged."""
    with db.read() as conn:
        return verdicts.unjudged(conn)


def during_fit(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Let something happen once, while slopes are fitted."""
    fit, acts = judge.judge, [act]

    def fit_later(*args: object, **how: object) -> object:
        if acts:
            acts.pop()()
        return fit(*args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(judge, "judge", fit_later)


def test_what_a_killed_worker_did_not_judge_is_judged_by_another(
    db: Database, tmp_path: Path, study_id: str
) -> None:
    command = [sys.executable, "-c", DIES_BEFORE_JUDGING, str(tmp_path)]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    with db.read() as conn:
        assert violations(conn) == []
    assert unjudged(db) == [study_id]

    catch_up(db, study_id, patience_s=1.0)

    assert finals(db, study_id) == [(False, 2), (False, 2)]
    assert unjudged(db) == []


def test_a_last_judgement_that_is_missing_is_asked_for(
    db: Database, process: TrainingProcess, study_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    next_bundle(process)
    monkeypatch.setattr(execute, "catch_up", lambda *_, **how: [])
    next_bundle(process)
    assert finals(db, study_id) == [(False, 2), (False, 2)]
    assert unjudged(db) == [study_id]

    catch_up(db, study_id, patience_s=1.0)

    assert finals(db, study_id) == [(True, 4), (True, 4)]
    assert unjudged(db) == []


def test_others_write_while_a_study_is_judged(
    db: Database, process: TrainingProcess, monkeypatch: pytest.MonkeyPatch, study_id: str
) -> None:
    other = Database(db.name)

    def write() -> None:
        with other.write() as conn:
            studies.cancel(conn, study_id)

    during_fit(monkeypatch, write)
    next_bundle(process)
    assert finals(db, study_id) == [(False, 2), (False, 2)]
    other.close()


def test_others_write_while_the_rows_of_a_bundle_are_counted(
    db: Database, process: TrainingProcess, monkeypatch: pytest.MonkeyPatch, study_id: str
) -> None:
    other, seen = Database(db.name), []
    tallies = counting.tallies

    def counted(*of: object) -> object:
        with other.write() as conn:
            seen.append(studies.get(conn, study_id))
        return tallies(*of)  # type: ignore[arg-type]

    monkeypatch.setattr(counting, "tallies", counted)
    next_bundle(process)
    assert len(seen) == 1
    other.close()


def test_a_judgement_that_took_long_does_not_replace_one_on_more_runs(
    db: Database, process: TrainingProcess, monkeypatch: pytest.MonkeyPatch, study_id: str
) -> None:
    during_fit(monkeypatch, lambda: next_bundle(process))
    next_bundle(process)
    assert finals(db, study_id) == [(True, 4), (True, 4)]


def test_a_judgement_that_fails_leaves_the_results_and_is_asked_for_again(
    db: Database, process: TrainingProcess, monkeypatch: pytest.MonkeyPatch, study_id: str
) -> None:
    during_fit(monkeypatch, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        next_bundle(process)
    with db.read() as conn:
        assert [run.error_text for run in studies.runs(conn, study_id)] == [None] * 8
    assert unjudged(db) == [study_id]


def test_what_was_judged_meanwhile_is_not_judged_twice(
    db: Database, process: TrainingProcess, monkeypatch: pytest.MonkeyPatch, study_id: str
) -> None:
    next_bundle(process)
    during_fit(monkeypatch, lambda: pytest.fail("judged twice"))
    catch_up(db, study_id, patience_s=1.0)
