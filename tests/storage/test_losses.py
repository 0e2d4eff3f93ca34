"""Losses of runs are those of their whole curves, of which only the ends are read."""

import random

import pytest

from muscope import plan
from muscope.records import Progress, StepRecord
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.storage import bundles, losses, measurements, studies
from muscope.storage.bundles import Outcome
from muscope.storage.database import Database
from muscope.storage.digest import RunDigest
from muscope.verdicts.transfer.losses import final_loss
from muscope.vocabulary import RunState
from tests.storage import world


@pytest.mark.parametrize("held_out", [0, 1])
@pytest.mark.parametrize("steps", [20, 57])
def test_the_ends_of_a_curve_give_what_all_of_it_gives(
    db: Database, steps: int, held_out: int
) -> None:
    sgd = OptimizerSpec(name="sgd", learning_rate=0.1)
    spec = StudySpec(
        name="curves",
        kind="lr_transfer",
        arms=(Arm(model=ModelSpec(name="mlp", batch_size=8), optimizers=(sgd,)),),
        parametrizations=(ParametrizationSpec(name="sp"),),
        widths=(8, 16),
        octaves=(-1.0, 0.0, 1.0),
        seeds=2,
        steps=steps,
        held_out=held_out,
    )
    with db.write() as conn:
        study_id, _ = studies.create(conn, spec, plan.plan(spec))
    drawn = random.Random(steps)
    curves: dict[tuple[int, float, int], list[float]] = {}
    while (claim := world.try_claim(db)) is not None:
        own = [[drawn.uniform(1, 3) for _ in range(steps + 1)] for _ in claim.members]
        for member, curve in zip(claim.members, own, strict=True):
            curves[member.spec.width, member.spec.octave, member.spec.seed] = curve
        records = [
            StepRecord(step, (), tuple(
                Progress(place, curve[step], eval_loss=0.5 if held_out and step == steps else None)
                for place, curve in enumerate(own)
            ))
            for step in range(steps + 1)
        ]  # fmt: skip
        empty = RunDigest()
        ended = [
            Outcome(member.run_id, RunState.FINISHED, empty.count, empty.hex())
            for member in claim.members
        ]
        with db.write() as conn:
            measurements.write(conn, claim, *records)
            bundles.finish(conn, claim, bundles.count(conn, claim, ended))
    with db.read() as conn:
        found = losses.trials(conn, study_id)
    assert len(found) == len(curves) == 12
    for one in found:
        curve = curves[one.width, one.octave, one.seed]
        assert (one.start, one.at_step, one.step) == (curve[0], curve[-1], steps)
        assert one.train_loss == final_loss(curve, None)
        assert one.loss == final_loss(curve, 0.5 if held_out else None)
