"""Measurements: keyed, exact, nan included; readers see one attempt."""

import math
from collections.abc import Iterable

import pytest
from sqlalchemy import select

from muscope.records import Measurement, Progress, StepRecord, Values
from muscope.storage import bundles, events, measurements
from muscope.storage.database import Database
from muscope.storage.measurements import CSV_HEADER, MeasurementConflict, RunDigest
from muscope.storage.tables import progress
from muscope.vocabulary import TensorKind
from tests.storage import world

NAN, INF = math.nan, math.inf


def one(l1: float, rms: float, change: float | None, *, step: int = 0) -> StepRecord:
    entry = Measurement(0, "input", TensorKind.ACTIVATION, Values(l1, rms, change))
    return StepRecord(step, (entry,), ())


def put(db: Database, claim: bundles.Claim, record: StepRecord) -> None:
    with db.write() as conn:
        measurements.write(conn, claim, record)


def test_the_same_batch_twice_changes_nothing(db: Database) -> None:
    study_id = world.submit(db)
    held = world.claim(db)
    world.write(db, held, 0, nan_in=[1])
    with db.read() as conn:
        before = events.since(conn, study_id, 0), str(measurements.samples(conn, study_id))
    world.write(db, held, 0, nan_in=[1])
    with db.read() as conn:
        after = events.since(conn, study_id, 0), str(measurements.samples(conn, study_id))
    assert after == before


@pytest.mark.parametrize("other", [(1.5, 2.0, 3.0), (1.0, NAN, 3.0), (1.0, 2.0, None)])
def test_another_value_under_the_same_key_is_a_named_conflict(
    db: Database, other: tuple[float, float, float | None]
) -> None:
    study_id = world.submit(db)
    held = world.claim(db)
    put(db, held, one(1.0, 2.0, 3.0))
    with pytest.raises(MeasurementConflict, match=r"run_id 1, step 0, tensor_id 1, kind act"):
        put(db, held, one(*other))
    with db.read() as conn:
        assert [sample.values.l1 for sample in measurements.samples(conn, study_id)] == [1.0]


def test_a_half_written_batch_is_completed(db: Database) -> None:
    study_id = world.submit(db)
    held = world.claim(db)
    whole = world.record(held, 0)
    put(db, held, StepRecord(0, whole.measurements[:5], ()))
    put(db, held, whole)
    with db.read() as conn:
        assert len(measurements.samples(conn, study_id)) == len(whole.measurements)


@pytest.mark.parametrize(
    "numbers",
    [
        (NAN, INF, -INF),
        (INF, 1.0, NAN),
        (-INF, NAN, None),
        (1e308, 5e-324, 0.0),
        (0.1 + 0.2, 1 / 3, 123456789.123456789),
    ],
)
def test_numbers_come_back_as_they_went(
    db: Database, numbers: tuple[float, float, float | None]
) -> None:
    study_id = world.submit(db)
    put(db, world.claim(db), one(*numbers))
    with db.read() as conn:
        (sample,) = measurements.samples(conn, study_id)
        (row,) = measurements.csv_rows(conn, study_id)
    assert str(sample.values) == str(Values(*numbers))
    assert str(row[9:]) == str(tuple(Values(*numbers)))


def test_a_tensor_outside_the_plan_is_refused_by_name(db: Database) -> None:
    world.submit(db)
    held = world.claim(db)
    stray = Measurement(0, "bias", TensorKind.ACTIVATION, Values(1.0, 1.0))
    with pytest.raises(ValueError, match="'bias' is not in the plan, which has: input, hidden"):
        put(db, held, StepRecord(0, (stray,), ()))


def test_rows_of_a_lost_attempt_are_never_seen(db: Database) -> None:
    study_id = world.submit(db)
    first = world.claim(db)
    put(db, first, one(666.0, 666.0, None))
    with db.write() as conn:
        bundles.hand_back(conn, first)
    with db.read() as conn:
        assert measurements.samples(conn, study_id) == []
    second = world.claim(db)
    assert second.bundle_id == first.bundle_id
    world.write(db, second, 0)
    with db.read() as conn:
        live = measurements.samples(conn, study_id)
    world.write(db, second, 1)
    world.write(db, second, 2)
    with db.write() as conn:
        records = [world.record(second, step) for step in range(3)]
        bundles.finish(conn, second, bundles.count(conn, second, world.outcomes(second, records)))
    with db.read() as conn:
        accepted = measurements.samples(conn, study_id)
    assert (len(live), len(accepted)) == (16, 48)
    assert 666.0 not in {sample.values.l1 for sample in (*live, *accepted)}


def test_csv_and_samples_are_the_same_numbers(db: Database) -> None:
    study_id = world.complete_study(db)
    with db.read() as conn:
        rows = [
            dict(zip(CSV_HEADER, row, strict=True)) for row in measurements.csv_rows(conn, study_id)
        ]
        seen = measurements.samples(conn, study_id)
    places = CSV_HEADER[:9]
    assert rows == [
        {name: getattr(sample, name) for name in places} | sample.values._asdict()
        for sample in seen
    ]


def test_samples_of_one_variant(db: Database) -> None:
    spec = world.small_spec()
    study_id = world.complete_study(db, spec)
    wanted = spec.variants[1].key
    with db.read() as conn:
        every = measurements.samples(conn, study_id)
        some = measurements.samples(conn, study_id, variant=wanted)
    assert some == [sample for sample in every if sample.variant == wanted]
    assert 2 * len(some) == len(every)


def digest(rows: Iterable[tuple[int, Values]]) -> str:
    found = RunDigest()
    for step, values in rows:
        found.add(step, f"t{step % 3}", TensorKind.WEIGHT, values)
    return found.hex()


@pytest.mark.parametrize("values", [Values(1.0, NAN), Values(1.0, NAN, None, 0.5), Values(mean=0)])
def test_a_digest_does_not_depend_on_order_but_on_every_value(values: Values) -> None:
    rows = [(step, values) for step in range(9)]
    changed = [*rows[:-1], (8, values._replace(l1=1.0000000000000002))]
    moved = [*rows[:-1], (8, values._replace(spectral=0.0))]
    assert digest(rows) == digest(rows[::-1])
    others = (rows, changed, moved, rows[:-1], [*rows, rows[0]])
    assert len({digest(other) for other in others}) == len(others)


def test_the_digest_of_what_version_0_1_0_measured_has_not_changed() -> None:
    found = RunDigest()
    found.add(0, "input", TensorKind.ACTIVATION, Values(0.5, 1.25))
    found.add(1, "input", TensorKind.ACTIVATION, Values(NAN, math.inf, -0.0))
    assert found.hex() == "621e5006c805466a"


def several(claim: bundles.Claim, *steps: int, nan_in: Iterable[int] = ()) -> list[StepRecord]:
    return [world.record(claim, step, nan_in=nan_in) for step in steps]


def put_all(db: Database, claim: bundles.Claim, records: Iterable[StepRecord]) -> None:
    with db.write() as conn:
        measurements.write(conn, claim, *records)


def seen(db: Database, study_id: str) -> str:
    """What readers see: rows and events."""
    with db.read() as conn:
        kinds = [event.kind for event in events.since(conn, study_id, 0)]
        return str((measurements.samples(conn, study_id), kinds))


@pytest.mark.parametrize("nan_in", [[], [1]])
def test_steps_of_one_transaction_are_the_rows_of_one_each(db: Database, nan_in: list[int]) -> None:
    together, apart = world.submit(db), world.submit(db)
    first, second = world.claim(db), world.claim(db)
    put_all(db, first, several(first, 0, 1, 2, nan_in=nan_in))
    for step in range(3):
        put_all(db, second, several(second, step, nan_in=nan_in))
    with db.read() as conn:
        rows = [str(measurements.samples(conn, study_id)) for study_id in (together, apart)]
        steps = [event.data for event in events.since(conn, together, 0) if event.kind == "step"]
    assert rows[0] == rows[1]
    assert steps == [{"bundle": first.bundle_id, "step": 2, "steps": 2}]


def test_steps_that_are_partly_there_are_completed_and_then_repeated(db: Database) -> None:
    study_id = world.submit(db)
    held = world.claim(db)
    put_all(db, held, several(held, 0, 1, nan_in=[1]))
    put_all(db, held, several(held, 0, 1, 2, nan_in=[1]))
    before = seen(db, study_id)
    for steps in [(0, 1, 2), (1, 2), (0,), (2,)]:
        put_all(db, held, several(held, *steps, nan_in=[1]))
    assert seen(db, study_id) == before
    assert before.count("step=2") == len(several(held, 2)[0].measurements)


def test_a_step_written_late_is_known_like_all_others(db: Database) -> None:
    study_id = world.submit(db)
    held = world.claim(db)
    for step in (1, 0):
        put_all(db, held, several(held, step))
    before = seen(db, study_id)
    put_all(db, held, several(held, 1))
    assert seen(db, study_id) == before


def test_a_heartbeat_that_is_ahead_of_the_rows_hides_none(db: Database) -> None:
    study_id = world.submit(db)
    held = world.claim(db)
    with db.write() as conn:
        bundles.heartbeat(conn, held, lease_s=60, step=2)
    for _ in range(2):
        put_all(db, held, several(held, 0, 1))
    with db.read() as conn:
        assert len(measurements.samples(conn, study_id)) == 2 * len(
            several(held, 0)[0].measurements
        )


def test_a_conflict_in_one_step_leaves_none_of_the_others(db: Database) -> None:
    study_id = world.submit(db)
    held = world.claim(db)
    put_all(db, held, several(held, 1))
    before = seen(db, study_id)
    with pytest.raises(MeasurementConflict, match="step 1"):
        put_all(db, held, several(held, 0, 1, 2, nan_in=[0]))
    assert seen(db, study_id) == before


def test_steps_of_one_transaction_must_rise(db: Database) -> None:
    world.submit(db)
    held = world.claim(db)
    with pytest.raises(ValueError, match=r"must rise, got \[0, 2, 2\]"):
        put_all(db, held, several(held, 0, 2, 2))


@pytest.mark.parametrize(
    ("eval_loss", "stored"),
    [(2.5, (2.5, 0)), (NAN, (None, 4)), (-INF, (None, 12)), (None, (None, 0))],
)
def test_the_loss_on_held_out_data_is_kept_beside_the_other(
    db: Database, eval_loss: float | None, stored: tuple[float | None, int]
) -> None:
    """Bits 2 and 3 belong to the second column."""
    world.submit(db)
    held = world.claim(db)
    last = StepRecord(2, (), (Progress(0, 1.5, eval_loss), Progress(1, 1.5)))
    for _ in range(2):
        put(db, held, last)
    with db.read() as conn:
        query = select(progress.c.train_loss, progress.c.eval_loss, progress.c.nonfinite)
        rows = conn.execute(query.order_by(progress.c.run_id)).all()
    assert [tuple(row) for row in rows] == [(1.5, *stored), (1.5, None, 0)]
    with pytest.raises(MeasurementConflict, match=r"progress run_id 1, step 2 .* eval_loss"):
        put(db, held, StepRecord(2, (), (Progress(0, 1.5, 7.0),)))


def test_the_digest_of_all_statistics_has_not_changed() -> None:
    found = RunDigest()
    found.add(3, "h.0.ä", TensorKind.UPDATE, Values(0.5, NAN, None, -0.0, INF, *[2.0**-1074] * 8))
    found.add(3, "h.0.ä", TensorKind.WEIGHT, Values(mean=1e308, max_abs=1e308, overflow=0.0))
    assert found.hex() == "cdb11f93be525e55"
