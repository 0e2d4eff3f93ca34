"""How long a bundle takes is arithmetic: what must hold whatever the factors are."""

import pytest

from muscope import budget, plan, timing
from muscope.budget import Budget
from muscope.machine import Machine, at
from muscope.recording import STATISTICS
from muscope.spec import (
    Arm,
    ModelSpec,
    OptimizerSpec,
    ParametrizationSpec,
    RunSpec,
    StudySpec,
    Variant,
)
from tests.core.machines import ROUND


def run(
    width: int = 256, depth: int = 2, optimizer: str = "adamw", precision: str = "float32"
) -> RunSpec:
    variant = Variant(
        model=ModelSpec(name="gpt", batch_size=8, options={"precision": precision}),
        parametrization=ParametrizationSpec(name="mup"),
        optimizer=OptimizerSpec(name=optimizer, learning_rate=1e-3),
    )
    return RunSpec(
        variant=variant, width=width, depth=depth, base_width=64, base_depth=2, seed=0, steps=8
    )


def faster(**speeds: object) -> Machine:
    return ROUND.model_copy(update=speeds)


def test_a_speed_between_two_measured_ones_lies_between_them() -> None:
    curve = ((32.0, 1e10), (512.0, 1e11))
    assert at(curve, 1) == at(curve, 32) == 1e10
    assert at(curve, 4096) == 1e11
    assert at(curve, 128) == pytest.approx(1e10**0.5 * 1e11**0.5)


def test_more_of_anything_takes_longer() -> None:
    def seconds(members: int = 4, **changed: object) -> float:
        return timing.seconds(run().model_copy(update=changed), members, ROUND)

    assert seconds() < seconds(members=8)
    assert seconds() < seconds(width=512)
    assert seconds() < seconds(depth=6)
    assert seconds() < seconds(steps=16)
    assert seconds() < seconds(held_out=8)
    by_record = [seconds(record=record) for record in ("activations", "standard", "full")]
    assert by_record == sorted(by_record)
    assert set(by_record) <= {seconds(record=record) for record in STATISTICS}


def test_every_block_costs_the_same() -> None:
    def seconds(depth: int) -> float:
        return timing.seconds(run(depth=depth), 1, ROUND)

    assert seconds(5) - seconds(4) == pytest.approx(seconds(2) - seconds(1))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw", "muon", "soap", "shampoo", "sophia"])
def test_a_machine_twice_as_fast_takes_half_the_time(optimizer: str) -> None:
    def twice(curve: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        return tuple((size, 2 * speed) for size, speed in curve)

    curves = ("products", "traffic", "eigenvectors", "qr")
    doubled = {name: twice(getattr(ROUND, name)) for name in curves}
    fast = faster(**doubled, draws=2 * ROUND.draws, operation_s=ROUND.operation_s / 2)
    slow = timing.seconds(run(optimizer=optimizer), 4, ROUND)
    assert timing.seconds(run(optimizer=optimizer), 4, fast) == pytest.approx(slow / 2)


def test_a_gpu_is_as_slow_as_the_slower_of_host_and_device() -> None:
    sending = faster(is_gpu=True, operation_s=1.0)
    computing = faster(is_gpu=True, operation_s=1e-9)
    both = faster(is_gpu=False, operation_s=1.0)
    assert timing.seconds(run(), 4, sending) < timing.seconds(run(), 4, both)
    assert timing.seconds(run(), 4, computing) < timing.seconds(run(), 4, sending)


def study() -> plan.Plan:
    model = ModelSpec(name="mlp", batch_size=64)
    optimizers = (OptimizerSpec(name="adamw", learning_rate=1e-3),)
    spec = StudySpec(
        name="two workers",
        arms=(Arm(model=model, optimizers=optimizers),),
        parametrizations=(ParametrizationSpec(name="mup"),),
        widths=(64, 128, 256, 512),
        steps=4,
    )
    return plan.plan(spec)


def test_workers_share_a_study_but_none_shares_a_bundle() -> None:
    planned = study()
    alone, two = (timing.study_seconds(planned, [ROUND] * count) for count in (1, 2))
    assert alone == pytest.approx(sum(timing.bundle_seconds(planned, ROUND)))
    assert alone / 2 <= two < alone
    crowd = timing.study_seconds(planned, [ROUND] * 100)
    assert crowd == pytest.approx(max(timing.bundle_seconds(planned, ROUND)))


def taken(train_s: float, precision: str = "float32", machine: Machine | None = ROUND) -> Budget:
    members = [run(precision=precision)] * 4
    return budget.of_bundle(
        members, warm_up_s=1.0, train_s=train_s, peak_bytes=100, machine=machine
    )


def test_the_fraction_of_the_ceiling_is_planned_flops_over_what_was_possible() -> None:
    found = taken(2.0)
    assert found.ceiling == 1e11
    assert found.fraction is not None
    # a step is 3 forwards, the last a forward: 22 of 25 come after the first; updates blur it
    assert found.fraction == pytest.approx(found.flops * 22 / 25 / 2.0 / 1e11)
    assert found.seconds == 3.0
    assert taken(2.0, "bfloat16").ceiling == 2e11


def test_without_a_calibration_there_is_time_but_no_fraction() -> None:
    found = taken(2.0, machine=None)
    assert (found.train_s, found.fraction, found.planned_s) == (2.0, None, None)


def test_a_study_takes_what_its_bundles_take_and_the_largest_memory() -> None:
    quick, slow = taken(1.0), taken(3.0)
    total = budget.total([quick, slow])
    assert total is not None
    assert (total.train_s, total.warm_up_s, total.peak_bytes) == (4.0, 2.0, 100)
    assert total.flops == quick.flops + slow.flops
    # each counts as long as it ran
    assert total.fraction == pytest.approx((quick.fraction * 1.0 + slow.fraction * 3.0) / 4.0)
    assert budget.total([]) is None
    unknown = budget.total([quick, taken(1.0, machine=None)])
    assert unknown is not None
    assert unknown.fraction is None
