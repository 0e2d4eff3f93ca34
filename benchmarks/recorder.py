"""Rows per second that the storage takes in, written as a worker writes them."""

import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

import pytest

from benchmarks import report
from muscope import plan
from muscope.presets.demo import demo
from muscope.records import Measurement, Progress, StepRecord, Values
from muscope.spec import RunSpec
from muscope.storage import bundles, measurements, schema, studies
from muscope.storage.bundles import Claim
from muscope.storage.database import Database
from muscope.vocabulary import TensorKind
from tests import services

STEPS = 200


def record(runs: list[RunSpec], step: int) -> StepRecord:
    """A step as the lab yields it, with made-up values."""
    tensors = [entry.name for entry in plan.activations(runs[0])]
    return StepRecord(
        step=step,
        measurements=tuple(
            Measurement(member, tensor, TensorKind.ACTIVATION, Values(0.5 + step, 1.0, 0.25))
            for member in range(len(runs))
            for tensor in tensors
        ),
        progress=tuple(Progress(member, 5.0) for member in range(len(runs))),
    )


def claimed(db: Database) -> Claim:
    """The first bundle of a demo that trains for many steps."""
    spec = demo().model_copy(update={"steps": STEPS})
    with db.write() as conn:
        studies.create(conn, spec, plan.plan(spec))
    with db.write() as conn:
        claim = bundles.claim(conn, worker_id="benchmark", pid=1, code_version="0", lease_s=3600)
    if claim is None:
        sys.exit("there was no bundle to claim")
    return claim


def speed(url: str) -> tuple[float, float]:
    """Rows and steps per second of one bundle."""
    db = Database(url)
    schema.upgrade(db)
    claim = claimed(db)
    records = [record([m.spec for m in claim.members], step) for step in range(STEPS + 1)]
    started = time.monotonic()
    for entry in records:
        with db.write() as conn:
            measurements.write(conn, claim, entry)
    taken = time.monotonic() - started
    db.close()
    return sum(len(entry.measurements) for entry in records) / taken, len(records) / taken


def say(name: str, speeds: list[tuple[float, float]], *, as_json: bool) -> None:
    """Print the medians of one database."""
    rows, steps = (statistics.median(column) for column in zip(*speeds, strict=True))
    report.say(
        {"database": name, "rows_per_s": f"{rows:,.0f}", "steps_per_s": f"{steps:,.0f}"},
        as_json=as_json,
    )


def main() -> None:
    """SQLite, and Postgres: the one of MUSCOPE_DATABASE_URL, else the one that the tests start."""
    options = report.arguments("Rows per second into the database.", repeat=3)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.db" for number in range(options.repeat)]
        say("SQLite", [speed(f"sqlite:///{file}") for file in files], as_json=options.json)
    url = os.environ.get("MUSCOPE_DATABASE_URL", "")
    if url.startswith("postgresql"):
        say("Postgres", [speed(url) for _ in range(options.repeat)], as_json=options.json)
        return
    try:
        service = services.start_postgres()
    except pytest.skip.Exception as reason:
        sys.exit(f"no Postgres to measure: {reason}")
    try:
        url = services.database_url(service, services.TEMPLATE)
        speeds = [speed(url) for _ in range(options.repeat)]
        say("Postgres, local socket, fsync off", speeds, as_json=options.json)
    finally:
        services.stop_postgres(service)


if __name__ == "__main__":
    main()
