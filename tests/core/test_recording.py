"""What a study records, and at which steps: arithmetic that plan, lab and judge share."""

from itertools import pairwise

import pytest
from hypothesis import given, strategies

from muscope import catalogue, plan, timing
from muscope.presets.demo import demo
from muscope.recording import STATISTICS, Record, recorded_steps
from muscope.records import PLACES, Values
from muscope.spec import RunSpec
from muscope.storage.nonfinite import MEASUREMENT_COLUMNS
from muscope.vocabulary import Statistic, TensorKind
from tests.core.machines import ROUND


def run(record: Record, steps: int = 4) -> RunSpec:
    first = next(plan.runs(demo()))
    return first.model_copy(update={"record": record, "steps": steps})


def test_statistics_values_and_columns_have_the_same_names() -> None:
    assert Values._fields == tuple(Statistic)
    assert sorted(Values._fields) == sorted(MEASUREMENT_COLUMNS)
    assert Values(*range(len(PLACES)))[PLACES[Statistic.SPECTRAL]] == PLACES[Statistic.SPECTRAL]


def test_every_choice_holds_the_one_before_it() -> None:
    choices = list(STATISTICS.values())
    for less, more in pairwise(choices):
        for kind, statistics in less.items():
            assert set(statistics) <= set(more[kind])
    assert {name for statistics in choices[-1].values() for name in statistics} == set(Statistic)


@given(strategies.integers(min_value=1, max_value=100_000))
def test_steps_are_recorded_from_the_first_to_the_last_and_ever_fewer(steps: int) -> None:
    recorded = recorded_steps(steps)
    assert (recorded[0], recorded[-1]) == (0, steps)
    assert list(recorded) == sorted(set(recorded))
    gaps = [later - earlier for earlier, later in pairwise(recorded)]
    if steps <= 32:
        assert set(gaps) == {1}
    else:
        assert gaps[:8] == [1] * 8
        assert gaps[:-1] == sorted(gaps[:-1])
        # the next is √2 times as late, both rounded by a half: at most 11.5 / 7.5 at step 8
        assert all(b <= 1.54 * a for a, b in pairwise(recorded[8:]))


def test_a_long_run_is_recorded_at_steps_that_can_be_named() -> None:
    assert recorded_steps(33) == (*range(9), 11, 16, 23, 32, 33)
    assert recorded_steps(100) == (*range(9), 11, 16, 23, 32, 45, 64, 91, 100)
    assert len(recorded_steps(100_000)) == 37


@given(strategies.integers(1, 10_000), strategies.integers(1, 10_000))
def test_every_so_many_steps_are_its_multiples_and_the_last(steps: int, every: int) -> None:
    recorded = recorded_steps(steps, every)
    assert set(recorded) == {step for step in range(steps) if step % every == 0} | {steps}
    assert list(recorded) == sorted(set(recorded))


def test_recording_fewer_steps_costs_less_and_the_plan_says_so() -> None:
    spec = demo().model_copy(update={"record": "full", "steps": 30})
    every, tenth = plan.plan(spec), plan.plan(spec.model_copy(update={"record_every": 10}))
    assert tenth.loss_rows == every.loss_rows
    assert tenth.flops < every.flops
    assert tenth.cells < every.cells / 7  # 4 of 31 steps
    assert tenth.measurement_rows < every.measurement_rows / 7
    assert any("step 1" in warning for warning in tenth.warnings)
    seconds = [timing.study_seconds(planned, [ROUND]) for planned in (tenth, every)]
    assert seconds[0] < seconds[1]


@pytest.mark.parametrize(("record", "kinds"), [("activations", 1), ("standard", 4), ("full", 4)])
def test_rows_are_tensors_times_steps_and_no_update_precedes_the_first(
    record: Record, kinds: int
) -> None:
    one = run(record)
    by_kind = [entry.kind for entry in plan.tensors(one)]
    updates = by_kind.count(TensorKind.UPDATE)
    assert plan.rows(one) == 5 * len(by_kind) - updates
    assert len(set(by_kind)) == kinds


def test_recording_more_costs_more_and_the_plan_says_so() -> None:
    spec = demo()
    records = [record for record in STATISTICS if record != "losses"]  # their sizes are free
    plans = [plan.plan(spec.model_copy(update={"record": record})) for record in records]
    for less, more in pairwise(plans):
        assert less.flops < more.flops
        assert less.cells < more.cells
        assert less.bundles[0].memory_bytes < more.bundles[0].memory_bytes


def test_a_long_run_has_few_rows() -> None:
    assert (
        plan.rows(run("activations", steps=100_000)) == 37 * plan.rows(run("activations", 1)) // 2
    )


@pytest.mark.parametrize("model", catalogue.MODELS)
def test_a_weight_has_the_role_of_the_activation_of_its_name(model: str) -> None:
    """So that one row of the table of tensors holds all kinds of a name."""
    entry = catalogue.MODELS[model]
    roles = {activation.name: activation.role for activation in entry.activations(64, 2, {})}
    for weight in entry.weights(64, 2, {}):
        assert roles.get(weight.name, weight.role) is weight.role
