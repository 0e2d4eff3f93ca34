"""A study with a schedule that does not fit into its run is refused."""

import pytest
from pydantic import ValidationError

from muscope import catalogue
from muscope.spec import Arm, ModelSpec, OptimizerSpec, StudySpec, digest
from tests.core.grids import study


def scheduled(**options: str | int | float) -> StudySpec:
    optimizer = OptimizerSpec(name="adamw", learning_rate=3e-3, options=dict(options))
    arm = Arm(model=ModelSpec(name="mlp", batch_size=64), optimizers=(optimizer,))
    return StudySpec.model_validate({**study().model_dump(), "arms": (arm.model_dump(),)})


def test_a_constant_schedule_leaves_no_trace_in_the_digest() -> None:
    assert digest(scheduled(schedule="constant", warmup_steps=0)) == digest(study())
    assert digest(scheduled(schedule="cosine")) != digest(study())


def test_a_warmup_longer_than_the_run_is_refused_with_both_numbers() -> None:
    sentence = "optimizer 'adamw': warmup_steps 3 is longer than the run of 2 steps"
    with pytest.raises(ValidationError, match=sentence):
        scheduled(warmup_steps=3)
    assert scheduled(warmup_steps=2)


@pytest.mark.parametrize("entry", catalogue.OPTIMIZERS.values(), ids=lambda entry: entry.name)
def test_every_optimizer_may_follow_every_schedule(entry: catalogue.OptimizerEntry) -> None:
    (schedule,) = [option for option in entry.options if option.name == "schedule"]
    assert "wsd_sqrt" in schedule.allowed
    assert schedule.silent
