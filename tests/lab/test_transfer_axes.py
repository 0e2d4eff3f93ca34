"""A place on another axis is trained as if the study had nothing else."""

import pytest

from muscope import in_process, plan
from muscope.lab import engine
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, StudySpec
from muscope.verdicts.transfer.losses import Trial


def study(**grid: object) -> StudySpec:
    """A tiny GPT at one width."""
    model = ModelSpec(name="gpt", batch_size=2, options={"head_size": 8, "sequence_length": 8})
    arm = Arm(model=model, optimizers=(OptimizerSpec(name="adamw", learning_rate=0.01),))
    fields: dict[str, object] = {
        "name": "axes",
        "kind": "lr_transfer",
        "arms": (arm,),
        "parametrizations": (ParametrizationSpec(name="mup"),),
        "widths": (16,),
        "depths": (1,),
        "octaves": (-1.0, 0.0, 1.0),
        "seeds": 1,
        "held_out": 1,
    }
    return StudySpec.model_validate(fields | grid)


def swept(spec: StudySpec) -> tuple[Trial, ...]:
    *_, (_, trials) = in_process.sweep(spec)
    return trials


def alone(run: RunSpec) -> list[float]:
    """The losses of a run with everything its own."""
    variant = run.variant.model_copy(update={"model": run.model})
    whole = run.model_copy(update={"variant": variant, "batch_size": None, "sequence_length": None})
    return [record.progress[0].train_loss for record in engine.train([whole])]


@pytest.mark.parametrize(
    "grid",
    [
        {"sequence_lengths": (4, 8), "steps": 6},
        {"batch_sizes": (2, 3), "steps": 6},
        {"step_counts": (5, 6)},
        {"depths": (1, 2), "steps": 6},
    ],
    ids=lambda grid: next(iter(grid)),
)
def test_every_place_gives_what_it_gives_alone(grid: dict[str, object]) -> None:
    spec = study(**grid)
    found = {(trial.place, trial.octave): trial for trial in swept(spec)}
    assert len(found) == 6
    for run in plan.runs(spec):
        losses = alone(run)
        place = run.batch_size, run.sequence_length, run.steps, run.depth, run.octave
        (trial,) = [
            one
            for one in found.values()
            if (one.batch_size, one.sequence_length, one.steps, one.depth, one.octave) == place
        ]
        assert trial.start == pytest.approx(losses[0], rel=1e-5)  # stacked and alone, float32
        assert trial.train_loss == pytest.approx(sum(losses[-4:]) / 4, rel=1e-5)
        assert trial.loss != trial.train_loss
