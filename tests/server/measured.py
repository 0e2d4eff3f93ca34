"""Studies that look trained: a formula instead of a lab, written as a worker writes them."""

import math
from collections.abc import Iterator

from muscope import budget, plan
from muscope.records import Measurement, Progress, StepRecord, Values
from muscope.spec import (
    Arm,
    ModelSpec,
    OptimizerSpec,
    ParametrizationSpec,
    RunSpec,
    StudySpec,
    Variant,
)
from muscope.storage import budgets, bundles, measurements, studies, verdicts, workers
from muscope.storage.bundles import Claim, Outcome
from muscope.storage.database import Database
from muscope.storage.digest import RunDigest
from muscope.storage.workers import WorkerRow
from muscope.verdicts.statements import as_theory, is_stable
from muscope.verdicts.types import Addition, Cell, TensorVerdict, VariantVerdict
from muscope.vocabulary import CellVerdict, RunState, Statistic, TensorKind
from tests.core.machines import ROUND

WORKER = WorkerRow(
    id="lab-1",
    host="lab",
    pid=4711,
    device="cpu",
    memory=8 * 2**30,
    queues="muscope",
    protocol=1,
    versions="muscope 0.1.0, torch 2.13.0",
    machine=ROUND,
)


def small(name: str = "Is µP right here?") -> StudySpec:
    """SP and µP of a small MLP at four widths: four bundles of four runs."""
    sgd = OptimizerSpec(name="sgd", learning_rate=0.1)
    return StudySpec(
        name=name,
        arms=(Arm(model=ModelSpec(name="mlp", batch_size=8), optimizers=(sgd,)),),
        parametrizations=(ParametrizationSpec(name="sp"), ParametrizationSpec(name="mup")),
        widths=(64, 128, 256, 512),
        depths=(1,),
        seeds=2,
        steps=2,
    )


def submitted(database: Database, spec: StudySpec) -> str:
    """A study that waits."""
    with database.write() as conn:
        study_id, _ = studies.create(conn, spec, plan.plan(spec))
    return study_id


def finished(database: Database, spec: StudySpec) -> str:
    """A study of which every run has ended and every variant is judged."""
    study_id = submitted(database, spec)
    while train_next(database, spec, study_id):
        pass
    return study_id


def undecided(database: Database) -> str:
    """A study of 16 runs whose verdict on µP asks for 4 seeds and width 1024."""
    spec = small()
    study_id = finished(database, spec)
    advice = {"verdict": CellVerdict.INCONCLUSIVE, "addition": Addition(seeds=4, widths=(1024,))}
    sp, mup = (judged(variant) for variant in spec.variants)
    with database.write() as conn:
        verdicts.save(conn, study_id, [sp, mup.model_copy(update=advice)])
    return study_id


def train_next(database: Database, spec: StudySpec, study_id: str) -> bool:
    """Do the work of one bundle; False when none is left."""
    with database.write() as conn:
        workers.beat(conn, WORKER)
        claim = bundles.claim(conn, worker_id="lab-1", pid=1, code_version="0.1.0", lease_s=60)
    if claim is None:
        return False
    with database.write() as conn:
        bundles.describe_attempt(
            conn,
            claim,
            torch_version="2.13.0",
            device="cpu",
            data_digest="ab" * 32,
            threads=2,
            matmul_precision="highest",
        )
    digests = [RunDigest() for _ in claim.members]
    for record in records(claim, spec.steps):
        with database.write() as conn:
            measurements.write(conn, claim, record)
        for entry in record.measurements:
            digests[entry.member].add(record.step, entry.tensor, entry.kind, entry.values)
    outcomes = [
        Outcome(member.run_id, RunState.FINISHED, digest.count, digest.hex())
        for member, digest in zip(claim.members, digests, strict=True)
    ]
    members = [member.spec for member in claim.members]
    taken = budget.of_bundle(
        members, warm_up_s=1.0, train_s=2.0, peak_bytes=3 * 2**20, machine=ROUND
    )
    with database.write() as conn:
        budgets.record(conn, claim, taken)
        bundles.finish(conn, claim, bundles.count(conn, claim, outcomes))
        ended = studies.get(conn, study_id)
        final = ended is not None and ended.ended_at is not None
        counts = studies.runs_judged(conn, study_id)
        ended_runs = [run for run in studies.runs(conn, study_id) if run.row_count]
        widths = tuple(sorted({run.width for run in ended_runs}))
        verdicts.save(
            conn,
            study_id,
            [
                judged(variant, final=final, runs=counts.get(variant.key, 0), widths=widths)
                for variant in spec.variants
            ],
        )
    return True


def exponent(variant: Variant) -> float:
    """In this world SP grows like the width, and µP is flat."""
    return 1.0 if variant.parametrization.name == "sp" else 0.0


def records(claim: Claim, steps: int) -> Iterator[StepRecord]:
    """What the lab would yield for a bundle."""
    for step in range(steps + 1):
        measured = [
            Measurement(number, entry.name, entry.kind, values(member.spec, entry.kind, step))
            for number, member in enumerate(claim.members)
            for entry in plan.tensors(member.spec)
            if step or entry.kind is not TensorKind.UPDATE
        ]
        losses = [
            Progress(number, math.log(10) - 0.1 * step) for number in range(len(claim.members))
        ]
        yield StepRecord(step, tuple(measured), tuple(losses))


def values(run: RunSpec, kind: TensorKind, step: int) -> Values:
    """Sizes that do not depend on width; changes and contributions as `exponent` says."""
    size = 1.0 + 0.01 * run.seed
    growth = (run.width / 64) ** exponent(run.variant)
    change = 0.01 * step * growth * size if step else None
    if kind is TensorKind.ACTIVATION:
        return Values(size, 1.25 * size, change)
    contribution = change if kind is TensorKind.WEIGHT else None
    return Values(l1=size, mean=-size, contribution=contribution, spectral=size)


def judged(
    variant: Variant,
    *,
    final: bool = True,
    runs: int = 8,
    widths: tuple[int, ...] = (64, 128, 256, 512),
) -> VariantVerdict:
    """The verdict of a variant in this world."""
    run = next(
        r for r in plan.runs(small()) if r.variant.parametrization == variant.parametrization
    )
    slope = exponent(variant)
    verdict = CellVerdict.GROWS if slope else CellVerdict.FLAT
    cells = tuple(
        Cell(
            tensor=entry.name,
            role=entry.role,
            depth=1,
            step=step,
            statistic=statistic,
            verdict=verdict if statistic is Statistic.CHANGE else CellVerdict.FLAT,
            slope=slope if statistic is Statistic.CHANGE else 0.0,
            low=slope - 0.02,
            high=slope + 0.02,
            seeds=2,
            widths=widths,
            tolerance=0.1,
            smallest_detectable=0.05,
            exception="a µP readout shrinks at initialization" if entry.name == "readout" else None,
            expected=slope,
            as_expected=True,
            source="this world",
        )
        for entry in plan.activations(run)
        for statistic in (Statistic.L1, Statistic.RMS, Statistic.CHANGE)
        for step in ((1, 2) if statistic is Statistic.CHANGE else (0, 1, 2))
    )
    worst = {cell.tensor: cell for cell in cells if cell.statistic is Statistic.CHANGE}
    return VariantVerdict(
        variant=variant.key,
        label=variant.label,
        verdict=verdict,
        final=final,
        runs_judged=runs,
        runs_planned=8,
        stable=is_stable(verdict),
        as_theory=as_theory(cells),
        tensors=tuple(
            TensorVerdict(tensor=name, role=cell.role, depth=1, verdict=verdict, worst=cell)
            for name, cell in worst.items()
        ),
        cells=cells,
    )
