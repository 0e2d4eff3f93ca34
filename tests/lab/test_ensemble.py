"""Laws of an ensemble: what is shared, split, left out or stepped one by one changes no number."""

import math
from collections.abc import Callable, Sequence
from types import ModuleType

import pytest
import torch

from muscope import costs
from muscope.lab import curvature, data, engine, ensemble, models, sharing
from muscope.lab import stack as stacks
from muscope.lab.ensemble import Ensemble
from muscope.lab.models.mlp import Mlp
from muscope.lab.models.model import Batch
from muscope.lab.models.operators import Operators
from muscope.lab.stack import Stack
from muscope.recording import Record
from muscope.records import StepRecord
from muscope.spec import Batches, RunSpec
from tests.lab import specs
from tests.lab.test_equality import assert_equal, at_rate, numbers

RECORDS: tuple[Record, ...] = ("losses", "activations", "full")


def sweep(
    model: str = "mlp",
    *,
    optimizer: str = "adamw",
    record: Record = "activations",
    batches: Batches = "fixed",
    held_out: int = 0,
) -> list[RunSpec]:
    """Two seeds at two rates, and another parametrization: three starts of five members."""
    members = [
        specs.run(
            model,
            parametrization=parametrization,
            optimizer=optimizer,
            learning_rate=rate,
            seed=seed,
            batches=batches,
            steps=3,
        )
        for parametrization, rate, seed in (
            ("mup", 1e-3, 0),
            ("mup", 1e-3, 1),
            ("sp", 1e-3, 1),
            ("mup", 1e-2, 1),
            ("mup", 1e-2, 0),
        )
    ]
    return [run.model_copy(update={"record": record, "held_out": held_out}) for run in members]


def assert_same(
    one: Sequence[StepRecord], other: Sequence[StepRecord], members: Sequence[RunSpec]
) -> None:
    for place, run in enumerate(members):
        assert_equal(numbers(one, place), numbers(other, place), run)


def starts_of(members: Sequence[RunSpec]) -> list[sharing.Start]:
    return sharing.starts(members, sharing.scales(members))


def test_only_what_starts_differently_is_made() -> None:
    firsts, kinds = sharing.distinct(starts_of(sweep()))
    assert firsts.tolist() == [0, 1, 2]
    assert kinds.tolist() == [0, 1, 2, 1, 0]


def test_members_that_start_alike_stand_together() -> None:
    assert sharing.alike_together(starts_of(sweep())) == [0, 4, 1, 3, 2]


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("batches", ["fixed", "fresh"])
def test_a_shared_start_changes_no_number(
    record: Record, batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = sweep("gpt", record=record, batches=batches)
    shared = list(engine.train(members))
    monkeypatch.setattr(sharing, "starts", lambda members, _: [(id(run),) for run in members])
    assert_same(shared, list(engine.train(members)), members)


@pytest.mark.parametrize(
    ("threads", "members", "fitting", "size"),
    [(1, 24, 3, 3), (2, 24, 4, 2), (2, 24, 1, 1), (2, 14, 8, 4), (16, 24, 16, 1), (4, 24, 24, 6)],
)
def test_every_thread_has_as_many_stacks_of_what_stays_fast(
    threads: int, members: int, fitting: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = specs.run()
    of = costs.cost(run)
    each = costs.BYTES_PER_FLOAT * (of.parameters + of.recorded * run.model.batch_size)
    monkeypatch.setattr(costs, "CPU_STACK_BYTES", fitting * each)
    monkeypatch.setattr(costs, "WORTH_A_THREAD", 0)
    assert costs.stack_size(run, members, threads) == size
    monkeypatch.setattr(costs, "WORTH_A_THREAD", members * each)
    assert costs.stack_size(run, members, threads) == costs.stack_size(run, members, 1)


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("model", ["mlp", "gpt"])
def test_stacks_side_by_side_compute_what_they_do_one_after_the_other(
    model: str, record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = sweep(model, record=record, batches="fresh", held_out=1)
    monkeypatch.setattr(ensemble, "_stack_size", lambda _: 2)
    one_by_one = list(engine.train(members))
    torch.set_num_threads(3)
    side_by_side = list(engine.train(members))
    for place in range(len(members)):
        # every stack computes with one thread in both
        assert numbers(side_by_side, place) == numbers(one_by_one, place)


class Full:
    """Memory that ends at certain calls of a function, if the stack has more than one member."""

    def __init__(self, method: str, calls: Sequence[int], monkeypatch: pytest.MonkeyPatch) -> None:
        self.calls, self.refusals, self._work = 0, 0, getattr(Stack, method)

        def work(stack: Stack, *args: object) -> object:
            self.calls += 1
            if self.calls in calls and len(stack.places) > 1:
                self.refusals += 1
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return self._work(stack, *args)

        monkeypatch.setattr(Stack, method, work)


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize(
    ("method", "calls"),
    [
        ("_losses", (1, 2)),
        ("_losses", (2,)),
        ("_outcome", (1,)),
        ("_outcome", (2, 3)),
        ("_state", (3,)),
    ],
)
def test_a_stack_that_runs_out_of_memory_goes_on_in_halves(
    record: Record, method: str, calls: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    members = sweep("gpt", record=record, batches="fresh")
    undisturbed = list(engine.train(members))
    memory = Full(method, calls, monkeypatch)
    assert_same(list(engine.train(members)), undisturbed, members)
    assert memory.refusals == len(calls)


def test_held_out_losses_are_taken_in_halves_when_memory_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    members = sweep("gpt", record="losses", batches="fresh", held_out=2)
    *_, undisturbed = engine.train(members)
    memory = Full("held_out_losses", (1, 2), monkeypatch)
    *_, last = engine.train(members)
    assert memory.refusals == 2
    assert [row.member for row in last.progress] == list(range(len(members)))
    for one, other in zip(last.progress, undisturbed.progress, strict=True):
        assert one.eval_loss == pytest.approx(other.eval_loss, rel=1e-5)  # other stacks, float32


class FullOnce:
    """Memory that ends at one call of a function of a module, and is there again."""

    def __init__(
        self, module: ModuleType, function: str, call: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.calls, self._work = 0, getattr(module, function)

        def work(*args: object) -> object:
            self.calls += 1
            if self.calls == call:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return self._work(*args)

        monkeypatch.setattr(module, function, work)


@pytest.mark.parametrize("call", [1, 2, 3])  # weights, multipliers, gradients
def test_members_keep_their_weights_and_data_when_memory_ends_as_each_gets_its_own(
    call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = sweep("gpt", record="full", batches="fresh")
    undisturbed = list(engine.train(members))
    memory = FullOnce(stacks, "of_tensors", call, monkeypatch)
    assert_same(list(engine.train(members)), undisturbed, members)
    assert memory.calls > call


@pytest.mark.parametrize("call", [1, 3])
def test_a_step_that_is_measured_twice_for_want_of_memory_is_the_first_both_times(
    call: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = sweep("gpt", optimizer="sophia", record="full", batches="fresh")
    undisturbed = list(engine.train(members))
    memory = FullOnce(curvature, "diagonal", call, monkeypatch)
    assert_same(list(engine.train(members)), undisturbed, members)
    assert memory.calls > call


def test_one_member_that_does_not_fit_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: object) -> object:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Stack, "_losses", work)
    with pytest.raises(torch.OutOfMemoryError):
        list(engine.train(sweep()))


def test_another_error_is_no_reason_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def work(*_: object) -> object:
        calls.append(1)
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(Stack, "_losses", work)
    with pytest.raises(RuntimeError, match="mat1"):
        list(engine.train(sweep()))
    assert len(calls) == 1


class Branching(Mlp):
    """A model that looks at its own numbers, which vmap refuses."""

    def loss(self, operators: Operators, batch: Batch) -> torch.Tensor:
        loss = super().loss(operators, batch)
        return loss if float(loss.detach()) > 0 else -loss


@pytest.mark.parametrize("batches", ["fixed", "fresh"])
@pytest.mark.parametrize("optimizer", ["adamw", "sophia"])
def test_a_model_that_cannot_be_vmapped_is_stepped_one_by_one_and_says_so(
    optimizer: str,
    batches: Batches,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    members = sweep(optimizer=optimizer, record="full", batches=batches, held_out=1)
    together = list(engine.train(members))
    monkeypatch.setitem(models.MODELS, "mlp", Branching)
    assert_same(list(engine.train(members)), together, members)
    assert "one by one" in caplog.text


def test_what_has_diverged_is_computed_no_more_and_disturbs_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calm, *others = [
        run.model_copy(update={"steps": 6}) for run in sweep(optimizer="sgd", record="full")
    ]
    members = [at_rate(1e30, others[0]), calm, at_rate(1e30, others[1])]
    sizes: list[int] = []
    advance = Stack.advance

    def counted(stack: Stack) -> object:
        sizes.append(len(stack.places))
        return advance(stack)

    monkeypatch.setattr(Stack, "advance", counted)
    records = list(engine.train(members))
    assert_equal(numbers(records, 1), numbers(list(engine.train([calm])), 0), calm)
    assert sizes[0] == 3
    assert sizes[5] == 1
    for place in (0, 2):
        last = [row.values for row in records[-1].measurements if row.member == place]
        assert len(last) == len([row for row in records[-1].measurements if row.member == 1])
        assert all(math.isnan(values.l1 or 0.0) for values in last)
        assert math.isnan(records[-1].progress[place].train_loss)


def test_what_is_left_out_has_the_numbers_that_it_has_alone() -> None:
    calm, other, *_ = [
        run.model_copy(update={"steps": 6}) for run in sweep(optimizer="sgd", record="full")
    ]
    wild = at_rate(1e30, other)
    together = list(engine.train([calm, wild]))
    assert_equal(numbers(together, 1), numbers(list(engine.train([wild])), 0), wild)


def test_a_bundle_of_which_all_diverge_ends() -> None:
    members = [at_rate(1e30, run.model_copy(update={"steps": 6})) for run in sweep(optimizer="sgd")]
    records = list(engine.train(members))
    assert len(records) == 7
    assert all(math.isnan(row.train_loss) for row in records[-1].progress)


def test_a_member_whose_weights_are_still_numbers_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lion's step is a sign, and that of a nan is zero: a nan loss does not end it."""
    wild = at_rate(1e30, specs.run(optimizer="lion", parametrization="sp", steps=4))
    members = Ensemble([wild, specs.run(optimizer="lion", steps=4)])
    for _ in range(4):
        (part,) = members.advance()
        members.leave_out([0])
    assert part.outcome.losses[0].isnan()
    assert part.places == [0, 1]


def stopping(step: int, places: Sequence[int]) -> engine.Stop:
    """Names these places at that step."""
    return lambda record: places if record.step == step else ()


def members_of(record: StepRecord) -> set[int]:
    """Of whom the record holds anything."""
    rows = [row.member for row in record.measurements]
    return {*rows, *(row.member for row in record.progress)}


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize(("step", "stopped"), [(0, (1, 4)), (1, (0, 4)), (2, (2, 3, 1))])
def test_members_that_are_stopped_end_there_and_disturb_nobody(
    record: Record, step: int, stopped: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muscope.lab.ensemble._stack_size", lambda _: 2)
    members = sweep("gpt", record=record, batches="fresh", held_out=1)
    whole = list(engine.train(members))
    records = list(engine.train(members, stopping(step, stopped)))
    ends = {place: step if place in stopped else 3 for place in range(len(members))}
    for place, run in enumerate(members):
        until = ends[place] + 1
        assert_equal(numbers(records, place), numbers(whole[:until], place), run)
    for at, found in enumerate(records):
        assert members_of(found) == {place for place, end in ends.items() if at <= end}
    held_out = {row.member for row in records[-1].progress if row.eval_loss is not None}
    assert held_out == set(ends) - set(stopped)


def test_what_is_stopped_is_computed_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    advance = Stack.advance

    def counted(stack: Stack) -> object:
        sizes.append(len(stack.places))
        return advance(stack)

    monkeypatch.setattr(Stack, "advance", counted)
    list(engine.train(sweep(), stopping(0, (0, 1, 2))))
    assert sizes == [5, 2, 2]


def test_training_ends_when_all_are_stopped() -> None:
    records = list(engine.train(sweep(), stopping(1, range(5))))
    assert [record.step for record in records] == [0, 1]


def test_what_has_diverged_goes_on_when_the_others_are_stopped() -> None:
    calm, *others = [
        run.model_copy(update={"steps": 6}) for run in sweep(optimizer="sgd", record="full")
    ]
    members = [at_rate(1e30, others[0]), calm]
    records = list(engine.train(members, stopping(4, (1,))))
    assert [members_of(record) for record in records] == [{0, 1}] * 5 + [{0}] * 2
    assert math.isnan(records[-1].progress[0].train_loss)
    assert len(records[-1].measurements) * 2 == len(records[4].measurements)


@pytest.mark.parametrize("model", ["mlp", "gpt"])
def test_the_held_out_loss_is_that_of_the_last_weights(
    model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = specs.run(model, steps=2).model_copy(update={"held_out": 2})
    records = list(engine.train([run, run.model_copy(update={"seed": 1})]))
    assert [row.eval_loss for record in records[:-1] for row in record.progress] == [None] * 4
    # a fixed batch that is the held-out data gives as its training loss what is asked for
    whole = data.held_out(run.variant.model, batches=2)
    monkeypatch.setattr(data, "held_out", whole_data(whole))
    stack = Ensemble([run])
    for _ in range(2):
        stack.advance()
    found = stack.held_out_losses(1)[0]
    # one mean of all, or the mean of two halves: float32 sums
    assert records[-1].progress[0].eval_loss == pytest.approx(found, rel=1e-5)


def whole_data(batch: Batch) -> Callable[..., Batch]:
    return lambda model, batches: batch
