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
from muscope_worker.execute import TrainingProcess, next_bundle
from muscope_worker.judgement import catch_up

DIES_BEFORE_JUDGING = """
import os, signal, sys
from pathlib import Path
from muscope.settings import Settings
from muscope.storage.database import open_database
from muscope_worker import execute

judging, deadly = execute.catch_up, int(sys.argv[2])

def catch_up(db, study_id, **how):
    global deadly
    if not deadly:
        os.kill(os.getpid(), signal.SIGKILL)
    deadly -= 1
    judging(db, study_id, **how)

execute.catch_up = catch_up
settings = Settings(data_dir=Path(sys.argv[1]), threads=1)
process = execute.TrainingProcess(settings, open_database(settings), worker_id="dying@here")
while execute.next_bundle(process):
    pass
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


@pytest.mark.parametrize(
    ("judged_before", "healed"),
    [(0, [(False, 2), (False, 2)]), (1, [(True, 4), (True, 4)])],
    ids=["provisional", "final"],
)
def test_what_a_killed_worker_did_not_judge_is_judged_by_another(
    db: Database,
    tmp_path: Path,
    study_id: str,
    judged_before: int,
    healed: list[tuple[bool, int]],
) -> None:
    command = [sys.executable, "-c", DIES_BEFORE_JUDGING, str(tmp_path), str(judged_before)]
    assert subprocess.run(command, capture_output=True).returncode == -signal.SIGKILL
    with db.read() as conn:
        assert violations(conn) == []
    assert finals(db, study_id) != healed
    assert unjudged(db) == [study_id]

    catch_up(db, study_id, patience_s=1.0)

    assert finals(db, study_id) == healed
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
