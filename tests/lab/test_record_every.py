"""A run that is recorded every so many steps has these rows of one that records all, no others."""

import weakref
from collections.abc import Sequence

import pytest

from muscope import plan
from muscope.lab import engine
from muscope.lab.stack import Stack
from muscope.recording import Record
from muscope.records import Measurement, StepRecord
from muscope.spec import RunSpec
from muscope.vocabulary import TensorKind
from tests.lab import specs
from tests.lab.test_observer import stack_of


def members(model: str, record: Record, every: int | None, steps: int = 7) -> list[RunSpec]:
    changes = {"record": record, "record_every": every}
    return [
        specs.run(model, seed=seed, steps=steps, batches="fresh").model_copy(update=changes)
        for seed in (0, 1)
    ]


def rows(records: Sequence[StepRecord]) -> dict[tuple[object, ...], Measurement]:
    return {
        (record.step, row.member, row.kind, row.tensor): row
        for record in records
        for row in record.measurements
    }


@pytest.mark.parametrize("model", ["mlp", "gpt"])
@pytest.mark.parametrize("record", ["activations", "standard", "full"])
def test_its_rows_are_those_of_its_steps_and_equal(model: str, record: Record) -> None:
    everything = list(engine.train(members(model, record, None)))
    some = list(engine.train(members(model, record, 3)))
    assert [one.progress for one in some] == [one.progress for one in everything]
    found, whole = rows(some), rows(everything)
    assert {step for step, *_ in found} == {0, 3, 6, 7}
    assert list(found) == [key for key in whole if key[0] in (0, 3, 6, 7)]
    # matrices with a side of 32 are decomposed: no search for norms starts elsewhere
    assert found == {key: whole[key] for key in found}


def test_a_plan_counts_the_rows_that_come() -> None:
    run, other = members("mlp", "standard", 3)
    assert len(rows(list(engine.train([run, other])))) == 2 * plan.rows(run)
    updates = sum(entry.kind is TensorKind.UPDATE for entry in plan.tensors(run))
    assert plan.rows(run) == 4 * len(plan.tensors(run)) - updates


def test_weights_are_kept_for_an_update_that_is_recorded_and_for_no_other() -> None:
    stack = stack_of(members("mlp", "standard", 3))
    for step in range(6):
        old = _weight(stack)
        stack.advance()
        # those of step 0 are what changes are taken from
        assert (old() is not None) == (step in (0, 2, 5)), step


def _weight(stack: Stack) -> "weakref.ref[object]":
    return weakref.ref(stack.parameters.weights["input"])


def test_what_is_not_recorded_is_not_observed() -> None:
    stack = stack_of(members("gpt", "full", 3))
    outcomes = [stack.advance() for _ in range(7)]
    assert [bool(outcome.readings) for outcome in outcomes] == [True, False, False] * 2 + [True]


def test_runs_recorded_at_other_steps_are_no_bundle() -> None:
    run, other = members("mlp", "standard", 3)[0], members("mlp", "standard", None)[0]
    with pytest.raises(ValueError, match="record_every None where member 0 has 3"):
        engine.train([run, other])
