"""Rows per second that a worker brings into the database, and how long its training waits."""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks import report
from muscope import plan
from muscope.presets.demo import demo
from muscope.recording import SINCE_START, STATISTICS, Record
from muscope.records import Measurement, Progress, StepRecord, Values
from muscope.spec import RunSpec
from muscope.storage import bundles, schema, studies
from muscope.storage.bundles import Claim
from muscope.storage.database import Database
from muscope.vocabulary import TensorKind
from muscope_worker.recorder import Recorder
from tests import services

STEPS = 200
STEP_S = 0.05
"""A training step of the second figure: while it lasts, the rows of the one before are written."""
PACED_STEPS = 60


class Figures(NamedTuple):
    """What one bundle took."""

    rows_per_step: float
    rows_per_s: float
    cpu_us_per_row: float
    waited_ms: float
    longest_ms: float


def record(runs: list[RunSpec], step: int) -> StepRecord:
    """A step as the lab yields it, with made-up values."""
    tensors = plan.tensors(runs[0])
    values = {kind: invented(kind, runs[0].record, step) for kind in STATISTICS[runs[0].record]}
    return StepRecord(
        step=step,
        measurements=tuple(
            Measurement(member, tensor.name, tensor.kind, values[tensor.kind])
            for member in range(len(runs))
            for tensor in tensors
        ),
        progress=tuple(Progress(member, 5.0) for member in range(len(runs))),
    )


def invented(kind: TensorKind, what: Record, step: int) -> Values:
    """The statistics of a kind that are recorded at a step."""
    names = [name for name in STATISTICS[what][kind] if step or name not in SINCE_START]
    return Values(**{name.value: 0.5 + step / 7 for name in names})


def claimed(db: Database, what: Record) -> Claim:
    """The first bundle of a demo that trains for many steps."""
    spec = demo().model_copy(update={"steps": STEPS, "record": what})
    with db.write() as conn:
        studies.create(conn, spec, plan.plan(spec))
    with db.write() as conn:
        claim = bundles.claim(conn, worker_id="benchmark", pid=1, code_version="0", lease_s=3600)
        if claim is not None:
            studies.cancel(conn, claim.study_id)  # its other bundles are not for the next round
    if claim is None:
        sys.exit("there was no bundle to claim")
    return claim


def waits(db: Database, claim: Claim, records: Iterable[StepRecord], step_s: float) -> list[float]:
    """Record all of them, a step of training apart; the seconds that each was waited for."""
    waited = []
    with Recorder(db, claim, patience_s=60.0) as recorder:
        for entry in records:
            started = time.perf_counter()
            recorder.write(entry)
            waited.append(time.perf_counter() - started)
            time.sleep(step_s)
    return waited


def figures(url: str, what: Record) -> Figures:
    """One bundle as fast as its rows come in, and one with steps that take their time."""
    db = Database(url)
    schema.upgrade(db)
    claim = claimed(db, what)
    records = [record([m.spec for m in claim.members], step) for step in range(STEPS)]
    rows = sum(len(entry.measurements) for entry in records)
    started, cpu = time.perf_counter(), time.process_time()
    waits(db, claim, records, 0.0)
    taken, cpu = time.perf_counter() - started, time.process_time() - cpu
    waited = waits(db, claimed(db, what), records[:PACED_STEPS], STEP_S)
    db.close()
    return Figures(
        rows / STEPS,
        rows / taken,
        1e6 * cpu / rows,
        1e3 * statistics.median(waited),
        1e3 * max(waited),
    )


def say(name: str, urls: Iterable[str], what: Record, *, as_json: bool) -> None:
    """Print the medians of one database."""
    columns = zip(*(figures(url, what) for url in urls), strict=True)
    medians = Figures(*map(statistics.median, columns))
    report.say(
        {
            "database": name,
            "record": what,
            "rows_per_step": f"{medians.rows_per_step:,.0f}",
            "rows_per_s": f"{medians.rows_per_s:,.0f}",
            "cpu_us_per_row": f"{medians.cpu_us_per_row:.1f}",
            "waited_ms": f"{medians.waited_ms:.3f}",
            "longest_wait_ms": f"{medians.longest_ms:.3f}",
        },
        as_json=as_json,
    )


def main() -> None:
    """SQLite, and Postgres: the one of MUSCOPE_DATABASE_URL, else the one that the tests start."""
    options = report.arguments("Rows per second into the database.", repeat=3)
    kinds: tuple[Record, ...] = tuple(what for what in STATISTICS if STATISTICS[what])
    for what in kinds:
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / f"{number}.db" for number in range(options.repeat)]
            urls = [f"sqlite:///{file}" for file in files]
            say("SQLite", urls, what, as_json=options.json)
    with postgres() as (name, url):
        for what in kinds:
            say(name, [url] * options.repeat, what, as_json=options.json)


@contextmanager
def postgres() -> Iterator[tuple[str, str]]:
    """Its name in the table, and its URL."""
    url = os.environ.get("MUSCOPE_DATABASE_URL", "")
    if url.startswith("postgresql"):
        yield "Postgres", url
        return
    try:
        service = services.start_postgres()
    except pytest.skip.Exception as reason:
        sys.exit(f"no Postgres to measure: {reason}")
    try:
        yield "Postgres, local socket, fsync off", services.database_url(service, services.TEMPLATE)
    finally:
        services.stop_postgres(service)


if __name__ == "__main__":
    main()
