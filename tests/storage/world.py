"""A small world for tests of the queue: a study on eight small runs, and workers that invent."""

import math
from collections.abc import Iterable

from muscope import plan
from muscope.records import Measurement, Progress, StepRecord, Values
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.storage import bundles, measurements, studies
from muscope.storage.bundles import Claim, Outcome
from muscope.storage.database import Database
from muscope.storage.measurements import RunDigest
from muscope.vocabulary import RunState, TensorKind

LEASE_S = 60.0


def small_spec(
    *, name: str = "small", widths: tuple[int, ...] = (8, 16), seeds: int = 2, steps: int = 2
) -> StudySpec:
    """SP and µP of an MLP: a bundle per width."""
    return StudySpec(
        name=name,
        arms=(
            Arm(
                model=ModelSpec(name="mlp", batch_size=8),
                optimizers=(OptimizerSpec(name="adamw", learning_rate=1e-3),),
            ),
        ),
        parametrizations=(ParametrizationSpec(name="sp"), ParametrizationSpec(name="mup")),
        widths=widths,
        seeds=seeds,
        steps=steps,
    )


def submit(db: Database, spec: StudySpec | None = None) -> str:
    """Create a study."""
    spec = spec or small_spec()
    with db.write() as conn:
        return studies.create(conn, spec, plan.plan(spec))[0]


def claim(db: Database, *, worker: str = "w1", lease_s: float = LEASE_S) -> Claim:
    """Claim the next bundle; there must be one."""
    found = try_claim(db, worker=worker, lease_s=lease_s)
    assert found is not None
    return found


def try_claim(db: Database, *, worker: str = "w1", lease_s: float = LEASE_S) -> Claim | None:
    """Claim the next bundle, if there is one."""
    with db.write() as conn:
        return bundles.claim(conn, worker_id=worker, pid=1, code_version="test", lease_s=lease_s)


def record(claim: Claim, step: int, *, nan_in: Iterable[int] = ()) -> StepRecord:
    """What a step would give: the same numbers each time; members in `nan_in` diverge."""
    diverged = set(nan_in)
    return StepRecord(
        step=step,
        measurements=tuple(
            _invented(member, tensor, step, diverged=member in diverged)
            for member in range(len(claim.members))
            for tensor in claim.tensor_ids
        ),
        progress=tuple(Progress(member, 2.0 / (step + 1)) for member in range(len(claim.members))),
    )


def write(db: Database, claim: Claim, step: int, *, nan_in: Iterable[int] = ()) -> StepRecord:
    """Write one step."""
    written = record(claim, step, nan_in=nan_in)
    with db.write() as conn:
        measurements.write(conn, claim, written)
    return written


def outcomes(claim: Claim, records: Iterable[StepRecord]) -> list[Outcome]:
    """What a worker that wrote these records says at the end."""
    digests = {member: RunDigest() for member in range(len(claim.members))}
    diverged: set[int] = set()
    for written in records:
        for m in written.measurements:
            digests[m.member].add(written.step, m.tensor, m.kind, m.values)
            if m.values.l1 is not None and not math.isfinite(m.values.l1):
                diverged.add(m.member)
    return [
        Outcome(
            run_id=claim.members[member].run_id,
            state=RunState.DIVERGED if member in diverged else RunState.FINISHED,
            row_count=digest.count,
            digest=digest.hex(),
        )
        for member, digest in digests.items()
    ]


def complete(db: Database, claim: Claim, *, nan_in: Iterable[int] = ()) -> list[StepRecord]:
    """Write every step and finish."""
    steps = range(claim.members[0].spec.steps + 1)
    nan_in = tuple(nan_in)
    written = [write(db, claim, step, nan_in=nan_in if step else ()) for step in steps]
    with db.write() as conn:
        bundles.finish(conn, claim, bundles.count(conn, claim, outcomes(claim, written)))
    return written


def complete_study(db: Database, spec: StudySpec | None = None) -> str:
    """A study of which every bundle was executed."""
    study_id = submit(db, spec)
    while (found := try_claim(db)) is not None:
        complete(db, found)
    return study_id


def _invented(member: int, tensor: str, step: int, *, diverged: bool) -> Measurement:
    value = 1.0 + member + len(tensor) / 8 + step / 4
    change = None if step == 0 else step / 16
    numbers = (math.nan, math.inf, -math.inf) if diverged else (value, 2 * value, change)
    return Measurement(member, tensor, TensorKind.ACTIVATION, Values(*numbers))
