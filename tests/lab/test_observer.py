"""What a step records, against its definition computed anew in float64, one member at a time."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from muscope import plan
from muscope.catalogue import WeightEntry, WeightKind
from muscope.lab import engine, feed, probes
from muscope.lab.models import build
from muscope.lab.models.model import Batch
from muscope.lab.models.operators import Operators, Parameters, product
from muscope.lab.observer import Observer, Seen
from muscope.lab.stack import Stack
from muscope.recording import STATISTICS, Record
from muscope.records import PLACES, Measurement
from muscope.spec import RunSpec
from muscope.vocabulary import Statistic, TensorKind
from tests.lab import specs

RTOL = 2e-4
"""float32 forwards of a few hundred terms: 1e-6; a change of a hundredth of the size: 1e-4."""
SPECTRAL_RTOL = 0.005
"""tests/lab/test_spectra.py says why; the stable rank divides by the square."""
ALIGNMENT_ATOL = 1e-3
"""A ratio of three sizes right to RTOL, as a logarithm to the base fan_in >= 8."""


@dataclass(frozen=True)
class Exact:
    """One member at one step in float64."""

    weights: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]
    activations: Mapping[str, Tensor]
    inputs: Mapping[str, Tensor]


def run(model: str, record: Record, **changes: object) -> RunSpec:
    made = specs.run(model, learning_rate=0.02, steps=3, zero_readout=False, **changes)  # type: ignore[arg-type]
    return made.model_copy(update={"record": record})


def stack_of(members: list[RunSpec]) -> Stack:
    spec = members[0].variant.model
    model = build(spec.name, members[0].width, members[0].depth, dict(spec.options))
    return Stack(model, feed.Source(members[0]), members)


def exactly(stack: Stack, member: int, weights: Mapping[str, Tensor]) -> Exact:
    """A forward and a backward in float64 with the weights that float32 arrived at."""
    # Members that start alike are one until their first update.
    member = member if stack.kinds is None else int(stack.kinds[member])
    batch = stack.feed.at(0)
    inputs = batch.inputs.double() if batch.inputs.is_floating_point() else batch.inputs
    values = {name: value[member].double().requires_grad_() for name, value in weights.items()}
    factors = {name: of[member].double() for name, of in stack.parameters.multipliers.items()}
    operators = Operators(stack.entries, Parameters(values, factors), record_inputs=True)
    loss = stack.model.loss(operators, Batch(inputs, batch.targets))
    found = torch.autograd.grad(loss, list(values.values()))
    gradients = dict(zip(values, found, strict=True))
    return Exact(
        {name: value.detach() for name, value in values.items()},
        gradients,
        {name: value.detach() for name, value in operators.activations.items()},
        {name: value.detach() for name, value in operators.inputs.items()},
    )


FP8 = {"activation": (2**-10, 448), "weight": (2**-10, 448), "gradient": (2**-17, 57_344)}
"""What rounds to zero and what is too large (facts 6); an update is not cast."""


def lost(values: Tensor, kind: TensorKind) -> dict[Statistic, float]:
    tiny, largest = FP8[kind.value]
    present = values.abs().numpy()[values.numpy() != 0]
    if not present.size:
        return {Statistic.UNDERFLOW: 0.0, Statistic.OVERFLOW: 0.0}
    return {
        Statistic.UNDERFLOW: (present <= tiny).mean(),
        Statistic.OVERFLOW: (present > largest).mean(),
    }


def sizes(now: Tensor, first: Tensor, kind: TensorKind) -> dict[Statistic, float]:
    values, start = now.numpy(), first.numpy()
    return {
        **(lost(now, kind) if kind is not TensorKind.UPDATE else {}),
        Statistic.L1: np.abs(values).mean(),
        Statistic.RMS: np.sqrt(np.square(values).mean()),
        Statistic.CHANGE: np.abs(values - start).mean(),
        Statistic.MEAN: values.mean(),
        Statistic.MAX_ABS: np.abs(values).max(),
    }


def of_matrix(values: Tensor, multiplier: float) -> dict[Statistic, float]:
    singular = np.linalg.svd(values.numpy(), compute_uv=False)
    rows, columns = values.shape
    return {
        Statistic.SPECTRAL: multiplier * singular[0] / math.sqrt(rows / columns),
        Statistic.STABLE_RANK: np.square(singular).sum() / singular[0] ** 2,
    }


def rms(values: Tensor) -> float:
    return float(values.square().mean().sqrt())


def multiplier(stack: Stack, name: str, member: int) -> float:
    found = stack.parameters.multipliers.get(name)
    return 1.0 if found is None else float(found[member])


def effects(
    stack: Stack, name: str, member: int, now: Exact, first: Exact
) -> dict[Statistic, float]:
    entry, factor = stack.entries[name], multiplier(stack, name, member)
    moved, start = now.weights[name] - first.weights[name], first.inputs[name]
    frozen = product(entry, moved, start)
    found = {Statistic.CONTRIBUTION: factor * float(frozen.abs().mean())}
    if entry.kind is WeightKind.TABLE:
        return found
    drifted, weight = now.inputs[name] - start, first.weights[name]
    triples = {
        Statistic.ALIGN_W: (frozen, moved, start),
        Statistic.ALIGN_X: (product(entry, weight, drifted), weight, drifted),
        Statistic.ALIGN_WX: (product(entry, moved, drifted), moved, drifted),
    }
    return found | {
        name: math.log(rms(out) / (rms(left) * rms(right)), entry.fan_in)
        for name, (out, left, right) in triples.items()
        if rms(out) > 0
    }


class Recomputed:
    """Two members of a model, exactly, at every step of their training."""

    def __init__(self, members: list[RunSpec]) -> None:
        self.stack = stack_of(members)
        self.steps: list[list[Exact]] = []
        for _ in range(self.stack.steps + 1):
            weights = dict(self.stack.parameters.weights)
            self.steps.append([exactly(self.stack, member, weights) for member in range(2)])
            self.stack.advance()

    def statistics(self, step: int, row: Measurement) -> dict[Statistic, float]:
        """All that a row can hold, by its kind."""
        name, member = row.tensor, row.member
        now, first = self.steps[step][member], self.steps[0][member]
        match row.kind:
            case TensorKind.ACTIVATION:
                return sizes(now.activations[name], first.activations[name], row.kind)
            case TensorKind.GRADIENT:
                return sizes(now.gradients[name], first.gradients[name], row.kind)
            case TensorKind.UPDATE:
                update = now.weights[name] - self.steps[step - 1][member].weights[name]
                return sizes(update, update, row.kind) | self._of_matrix(name, member, update)
            case TensorKind.WEIGHT:
                weight = now.weights[name]
                found = sizes(weight, first.weights[name], row.kind)
                found |= self._of_matrix(name, member, weight)
                return found | effects(self.stack, name, member, now, first)

    def _of_matrix(self, name: str, member: int, values: Tensor) -> dict[Statistic, float]:
        factor = multiplier(self.stack, name, member)
        if self.stack.entries[name].kind is WeightKind.TABLE:
            rows = np.sqrt(np.square(values.numpy()).mean(axis=1))
            return {Statistic.SPECTRAL: factor * rows.max()}
        return of_matrix(values, factor)


def close_to(value: float, statistic: Statistic, row: Measurement) -> object:
    """What a measured statistic has to equal."""
    match statistic:
        case Statistic.SPECTRAL | Statistic.STABLE_RANK:
            return pytest.approx(value, rel=2 * SPECTRAL_RTOL)
        case Statistic.ALIGN_W | Statistic.ALIGN_X | Statistic.ALIGN_WX:
            return pytest.approx(value, abs=ALIGNMENT_ATOL)
        case Statistic.UNDERFLOW | Statistic.OVERFLOW:  # float32 at the border of a format
            return pytest.approx(value, abs=1e-3)
        case Statistic.MEAN:  # a sum of both signs: its error is that of the size
            return pytest.approx(value, abs=RTOL * (row.values.rms or 0.0))
        case _:
            return pytest.approx(value, rel=RTOL)


@pytest.mark.parametrize("model", ["gpt", "mlp", "resnet"])
def test_every_number_is_what_its_definition_says(model: str) -> None:
    size = {"width": 16, "depth": 1}
    members = [run(model, "full", **size), run(model, "full", parametrization="sp", **size)]
    exact = Recomputed(members)
    for found in engine.train(members):
        for row in found.measurements:
            for statistic, value in exact.statistics(found.step, row).items():
                measured = row.values[PLACES[statistic]]
                where = (found.step, row.kind.value, row.tensor, statistic.value)
                assert measured is None or measured == close_to(value, statistic, row), where


@pytest.mark.parametrize("record", ["activations", "standard", "full"])
def test_numbers_are_the_same_when_they_are_read_at_once(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = [run("gpt", record, width=16, depth=1, seed=seed) for seed in (0, 1)]
    expected = list(engine.train(members))
    monkeypatch.setattr("muscope.lab.stack.READ_AT_ONCE", 0)
    for found, known in zip(engine.train(members), expected, strict=True):
        for row, other in zip(found.measurements, known.measurements, strict=True):
            for name in ("l1", "rms", "change", "max_abs", "mean"):
                value, other_value = getattr(row.values, name), getattr(other.values, name)
                if other_value is not None:
                    # what lab/probes.py promises; a mean is a sum of both signs
                    near = 1e-6 * (other.values.rms or 0.0) if name == "mean" else 0.0
                    assert value == pytest.approx(other_value, rel=1e-6, abs=near)


def test_only_runs_that_record_much_wait_for_the_loops_that_read_at_once() -> None:
    short = run("mlp", "standard", width=64)
    long = short.model_copy(update={"steps": 1000, "record_every": 1, "width": 256})
    lossy = long.model_copy(update={"record": "losses"})
    read_at_once = [stack_of([one]).reading is probes.at_once for one in (short, long, lossy)]
    assert read_at_once == [False, True, False]


@pytest.mark.parametrize("model", ["gpt", "llama"])
def test_a_bias_and_a_gain_contribute_what_they_add(model: str) -> None:
    """|A| times the mean |b_t - b_0|; not those of keys that softmax sees no rotation of."""
    options = {"biases": True, "norm_gains": "vector"}
    made = specs.run(model, zero_readout=False, learning_rate=0.02, model_options=options)
    form = made.variant.parametrization.model_copy(update={"options": {"form": "table9"}})
    variant = made.variant.model_copy(update={"parametrization": form})
    member = made.model_copy(update={"record": "full", "variant": variant})
    *_, last = engine.train([member])
    found = {row.tensor: row.values for row in last.measurements if row.kind is TensorKind.WEIGHT}
    stack = stack_of([member])
    for entry in stack.entries.values():
        if entry.kind not in (WeightKind.BIAS, WeightKind.GAIN):
            continue
        values = found[entry.name]
        assert values.change is not None
        unseen = entry.part == "attention.k" and model == "gpt"
        factor = multiplier(stack, entry.name, 0)
        assert factor == pytest.approx(math.sqrt(2))  # table 9 at twice the base width
        expected = None if unseen else pytest.approx(factor * values.change, rel=RTOL)
        assert values.contribution == expected, entry.name


@pytest.mark.parametrize("record", STATISTICS)
def test_every_step_has_what_the_plan_says_and_every_statistic_of_its_choice(
    record: Record,
) -> None:
    members = [run("mlp", record), run("mlp", record, seed=1)]
    *_, last = records = list(engine.train(members))
    rows = [row for found in records for row in found.measurements]
    assert len(rows) == sum(plan.rows(member) for member in members)
    planned = [(tensor.name, tensor.kind) for tensor in plan.tensors(members[0])]
    assert [(row.tensor, row.kind) for row in last.measurements] == 2 * planned
    for row in (row for row in last.measurements if row.tensor != "input"):  # data never change
        has = {statistic for statistic in Statistic if row.values[PLACES[statistic]] is not None}
        assert has == set(STATISTICS[record][row.kind]), row


@pytest.mark.parametrize("record", ["standard", "full"])
def test_recording_more_changes_no_number(record: Record) -> None:
    plain, more = (list(engine.train([run("gpt", record)])) for record in ("activations", record))
    for one, other in zip(plain, more, strict=True):
        assert one.progress == other.progress
        for row, same in zip(one.measurements, other.measurements, strict=False):
            assert (row.tensor, row.values[:3]) == (same.tensor, same.values[:3])


def test_a_step_without_update_has_no_contribution_and_nothing_that_diverges() -> None:
    """A zero readout lets nothing below it move in the first step."""
    still = specs.run("mlp", zero_readout=True).model_copy(update={"record": "full"})
    _, first, *_ = engine.train([still])
    (hidden,) = (
        row.values
        for row in first.measurements
        if (row.kind, row.tensor) == (TensorKind.WEIGHT, "hidden.0")
    )
    assert (hidden.change, hidden.contribution) == (0.0, 0.0)
    assert (hidden.align_w, hidden.align_x, hidden.align_wx) == (None, None, None)
    assert all(v is None or math.isfinite(v) for row in first.measurements for v in row.values)


def test_a_member_that_diverges_disturbs_no_other() -> None:
    calm, wild = (
        specs.run("mlp", parametrization="sp", learning_rate=rate, steps=4, depth=8).model_copy(
            update={"record": "full"}
        )
        for rate in (1e-3, 1e6)
    )
    alone, together = list(engine.train([calm])), list(engine.train([calm, wild]))
    for one, both in zip(alone, together, strict=True):
        rows = [row for row in both.measurements if row.member == 0]
        for row, same in zip(one.measurements, rows, strict=True):
            # float32 sums in another order; small singular values are lost in large ones
            mine, beside = ([v for v in one.values if v is not None] for one in (row, same))
            assert mine == pytest.approx(beside, rel=1e-3, abs=1e-6)
    lost = [row for row in together[-1].measurements if row.member == 1]
    assert any(not math.isfinite(row.values.l1 or 0.0) for row in lost)


def invented(entries: Mapping[str, WeightEntry], seed: int) -> Seen:
    """What three members of an MLP could have left at a step."""
    draw = torch.Generator().manual_seed(seed)
    weights, gradients, inputs = (
        {
            name: torch.randn(3, *(shape or entry.shape), generator=draw)
            for name, entry in entries.items()
            for shape in ((4, entry.fan_in) if is_input else None,)
        }
        for is_input in (False, False, True)
    )
    return Seen({"readout": torch.randn(3, 4, 10, generator=draw)}, weights, gradients, inputs)


def test_members_that_are_selected_go_on_with_their_own_past() -> None:
    """In another order and one of them twice, as if the others had never been there."""
    entries, places = stack_of([run("mlp", "full", width=64)]).entries, torch.tensor([2, 0, 2])
    observer = Observer("full", entries, {"hidden.0": torch.tensor([1.0, 2.0, 3.0])})
    for seed in range(2):
        seen = invented(entries, seed)
        observer.observe(seen)
        observer.before_update(seen.weights)
    narrow, last = observer.select(places), invented(entries, 2)
    parts = (last.activations, last.weights, last.gradients, last.inputs)
    chosen = Seen(*({name: of[places] for name, of in part.items()} for part in parts))
    for one, other in zip(narrow.observe(chosen), observer.observe(last), strict=True):
        # float32 sums in another order
        torch.testing.assert_close(one.values, other.values[places], rtol=1e-5, atol=1e-6)
