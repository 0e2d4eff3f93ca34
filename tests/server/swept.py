"""Learning-rate studies that look trained: losses by a formula, written as a worker writes them."""

import math

from muscope import budget
from muscope.records import Progress, StepRecord
from muscope.spec import (
    Arm,
    ModelSpec,
    OptimizerSpec,
    ParametrizationSpec,
    RunSpec,
    StudySpec,
)
from muscope.storage import budgets, bundles, losses, measurements, studies, verdicts, workers
from muscope.storage.bundles import Outcome
from muscope.storage.database import Database
from muscope.storage.digest import RunDigest
from muscope.verdicts.transfer import judge
from muscope.vocabulary import RunState
from tests.core.machines import ROUND
from tests.server.measured import WORKER, submitted


def sweep(name: str = "Does the rate stay?", **changes: object) -> StudySpec:
    """SP and µP of a small MLP at three widths and five rates: three bundles of thirty runs."""
    sgd = OptimizerSpec(name="sgd", learning_rate=2**-4)
    arms = (Arm(model=ModelSpec(name="mlp", batch_size=8), optimizers=(sgd,)),)
    return StudySpec.model_validate(
        {
            "name": name,
            "kind": "lr_transfer",
            "arms": arms,
            "parametrizations": (ParametrizationSpec(name="sp"), ParametrizationSpec(name="mup")),
            "widths": (32, 64, 128),
            "octaves": (-2.0, -1.0, 0.0, 1.0, 2.0),
            "seeds": 3,
            "steps": 2,
            "held_out": 1,
        }
        | changes
    )


def finished(database: Database, spec: StudySpec) -> str:
    """A study of which every run has ended and every variant is judged."""
    study_id = submitted(database, spec)
    while train_next(database, spec, study_id):
        pass
    return study_id


def train_next(database: Database, spec: StudySpec, study_id: str) -> bool:
    """Do the work of one bundle; False when none is left."""
    with database.write() as conn:
        workers.beat(conn, WORKER)
        claim = bundles.claim(conn, worker_id="lab-1", pid=1, code_version="0.1.0", lease_s=60)
    if claim is None:
        return False
    members = [member.spec for member in claim.members]
    with database.write() as conn:
        bundles.describe_attempt(
            conn, claim, torch_version="2.13.0", device="cpu", data_digest="ab" * 32, threads=2,
            matmul_precision="highest",
        )  # fmt: skip
        for step in range(spec.steps + 1):
            last = step == spec.steps
            told = tuple(
                Progress(
                    number,
                    math.inf if step and diverges(run) else 2.3 - 0.1 * step,
                    eval_loss=loss(run) if last else None,
                )
                for number, run in enumerate(members)
            )
            measurements.write(conn, claim, StepRecord(step, (), told))
        taken = budget.of_bundle(
            members, warm_up_s=1.0, train_s=5.0, peak_bytes=2**20, machine=ROUND
        )
        budgets.record(conn, claim, taken)
        empty = RunDigest()
        outcomes = [
            _outcome(member.run_id, empty, diverged=diverges(member.spec))
            for member in claim.members
        ]
        bundles.finish(conn, claim, bundles.count(conn, claim, outcomes))
        ended = studies.get(conn, study_id)
        known = losses.trials(conn, study_id)
        counts = studies.runs_judged(conn, study_id)
        final = ended is not None and ended.ended_at is not None
        verdicts.save(conn, study_id, judge.judge(spec, known, runs_judged=counts, final=final))
    return True


def _outcome(run_id: int, digest: RunDigest, *, diverged: bool) -> Outcome:
    if not diverged:
        return Outcome(run_id, RunState.FINISHED, digest.count, digest.hex())
    return Outcome(
        run_id, RunState.DIVERGED, digest.count, digest.hex(),
        first_nonfinite_step=1, first_nonfinite_tensor="hidden.0",
    )  # fmt: skip


def diverges(run: RunSpec) -> bool:
    """SP at the largest width and rate."""
    is_sp = run.variant.parametrization.name == "sp"
    return is_sp and run.width == 128 and run.octave == 2


def loss(run: RunSpec) -> float:
    """A parabola in the rate; of SP the optimum moves an octave per two doublings."""
    is_sp = run.variant.parametrization.name == "sp"
    octaves = {32: 0, 64: 1, 128: 2}.get(run.width, 0)
    centre = -0.5 * octaves if is_sp else 0.01 * run.seed
    noise = 0.004 * ((7 * run.seed + 3 * octaves + is_sp) % 5 - 2)
    level = 2.0 - 0.05 * octaves + 0.03 * is_sp + 0.02 * run.seed
    return level + noise + 0.02 * (run.octave - centre) ** 2
