"""Laws of the engine: what stacking, seeds, divergence and parametrizations do to the numbers."""

import math
from collections.abc import Iterable

import pytest

from muscope import costs, plan
from muscope.lab import engine
from muscope.records import StepRecord, Values
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, StudySpec
from tests.lab import specs

MODELS = ("gpt", "mlp")


def values(records: Iterable[StepRecord], member: int) -> dict[tuple[int, str], Values]:
    return {
        (record.step, row.tensor): row.values
        for record in records
        for row in record.measurements
        if row.member == member
    }


def losses(records: Iterable[StepRecord], member: int) -> list[float]:
    return [row.train_loss for record in records for row in record.progress if row.member == member]


@pytest.fixture(params=["one stack", "one member per stack"])
def stacking(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "one member per stack":
        monkeypatch.setattr(costs, "CPU_STACK_BYTES", 1)


@pytest.mark.usefixtures("stacking")
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_member_does_not_notice_that_it_is_stacked(model: str, optimizer: str) -> None:
    members = [
        specs.run(model, parametrization="sp", optimizer=optimizer, learning_rate=1e-2),
        specs.run(model, optimizer=optimizer, learning_rate=1e-3, base_width=8, seed=1),
        specs.run(model, optimizer=optimizer, learning_rate=1e-3, zero_readout=False, seed=2),
    ]
    together = list(engine.train(members))
    for member, run in enumerate(members):
        alone = list(engine.train([run]))
        # float32 sums in another order; Adam's sign turns last bits of tiny gradients around.
        assert losses(together, member) == pytest.approx(losses(alone, 0), rel=1e-4)
        single = values(alone, 0)
        for key, row in values(together, member).items():
            assert row.l1 == pytest.approx(single[key].l1, rel=1e-3, abs=1e-7)
            assert row.rms == pytest.approx(single[key].rms, rel=1e-3, abs=1e-7)
            assert (row.change or 0) == pytest.approx(single[key].change or 0, rel=1e-3, abs=1e-7)


@pytest.mark.parametrize("model", MODELS)
def test_same_spec_same_numbers(model: str) -> None:
    members = [specs.run(model, seed=seed) for seed in (0, 1)]
    assert list(engine.train(members)) == list(engine.train(members))


def test_another_seed_is_another_initialization() -> None:
    records = list(engine.train([specs.run(seed=0), specs.run(seed=1)]))
    assert values(records, 0)[0, "input"].l1 != values(records, 1)[0, "input"].l1


@pytest.mark.parametrize("model", MODELS)
def test_every_step_measures_the_activations_of_the_catalogue_in_its_order(model: str) -> None:
    run = specs.run(model, steps=2)
    records = list(engine.train([run, run]))
    names = [entry.name for entry in plan.activations(run)]
    assert [record.step for record in records] == [0, 1, 2]
    for record in records:
        assert [(row.member, row.tensor) for row in record.measurements] == [
            (member, name) for member in (0, 1) for name in names
        ]
        assert all((row.values.change is None) == (record.step == 0) for row in record.measurements)


@pytest.mark.parametrize("model", MODELS)
def test_a_zero_readout_gives_logits_of_exactly_zero_and_a_uniform_guess(model: str) -> None:
    first = next(engine.train([specs.run(model, zero_readout=True)]))
    assert values([first], 0)[0, "readout"].l1 == 0
    classes = {"gpt": 256, "mlp": 10}[model]
    assert first.progress[0].train_loss == pytest.approx(math.log(classes), rel=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_at_the_base_width_mup_is_its_sp_twin(model: str) -> None:
    twins = [
        specs.run(model, parametrization=name, zero_readout=False, width=16, base_width=16)
        for name in ("sp", "mup")
    ]
    records = list(engine.train(twins))
    assert losses(records, 0) == losses(records, 1)


@pytest.mark.usefixtures("stacking")
@pytest.mark.parametrize("model", MODELS)
def test_divergence_is_a_result_and_disturbs_no_other_member(model: str) -> None:
    calm = specs.run(model, parametrization="sp", steps=5)
    wild = specs.run(model, parametrization="sp", learning_rate=1e6, steps=5)
    alone, together = list(engine.train([calm, calm])), list(engine.train([calm, wild]))
    assert losses(together, 0) == losses(alone, 0)
    assert values(together, 0) == values(alone, 0)
    assert all(math.isfinite(loss) for loss in losses(together, 0))
    assert (values(together, 1)[5, "readout"].l1 or 0.0) > 1e6


def test_values_that_are_not_finite_are_yielded() -> None:
    calm = specs.run("mlp", parametrization="sp", depth=8, steps=4)
    wild = specs.run("mlp", parametrization="sp", depth=8, learning_rate=1e6, steps=4)
    records = list(engine.train([wild, calm]))
    assert len(records) == 5
    assert not math.isfinite(losses(records, 0)[-1])
    assert not math.isfinite(values(records, 0)[4, "readout"].l1 or 0.0)
    assert all(math.isfinite(row.l1 or 0.0) for row in values(records, 1).values())


@pytest.mark.parametrize(
    ("other", "named"),
    [
        (specs.run("gpt"), "model"),
        (specs.run(optimizer="sgd"), "optimizer"),
        (specs.run(options={"beta1": 0.5}), "optimizer"),
        (specs.run(width=64), "width"),
        (specs.run(depth=3), "depth"),
        (specs.run(steps=7), "steps"),
    ],
)
def test_members_of_different_shape_are_refused_by_name(other: RunSpec, named: str) -> None:
    with pytest.raises(ValueError, match=f"member 1 has {named} "):
        engine.train([specs.run(), other])


def test_no_members_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one run"):
        engine.train([])


@pytest.fixture(scope="module")
def slopes() -> dict[tuple[str, str, str, int], float]:
    """Slope of log2 on log2(width) by (parametrization, tensor, statistic, step), 2 seeds."""
    return _slopes(
        StudySpec(
            name="tiny",
            arms=(
                Arm(
                    model=ModelSpec(name="mlp", batch_size=64),
                    optimizers=(OptimizerSpec(name="adamw", learning_rate=1e-3),),
                ),
            ),
            parametrizations=(ParametrizationSpec(name="sp"), ParametrizationSpec(name="mup")),
            widths=(64, 128, 256, 512),
            seeds=2,
            steps=3,
        )
    )


def _slopes(spec: StudySpec) -> dict[tuple[str, str, str, int], float]:
    points: dict[tuple[str, str, str, int], list[tuple[float, float]]] = {}
    for bundle in plan.plan(spec).bundles:
        for record in engine.train(bundle.runs):
            for row in record.measurements:
                run = bundle.runs[row.member]
                name = run.variant.parametrization.name
                for statistic, value in (("l1", row.values.l1), ("change", row.values.change)):
                    if value:
                        point = (math.log2(run.width), math.log2(value))
                        key = (name, row.tensor, statistic, record.step)
                        points.setdefault(key, []).append(point)
    return {key: _least_squares(pairs) for key, pairs in points.items()}


def _least_squares(points: list[tuple[float, float]]) -> float:
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    covariance = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return covariance / sum((x - mean_x) ** 2 for x, _ in points)


@pytest.mark.parametrize("tensor", ["hidden.0", "hidden.1"])
def test_in_sp_with_adam_the_change_of_hidden_layers_grows(
    slopes: dict[tuple[str, str, str, int], float], tensor: str
) -> None:
    # Theory says +1 at small rates; saturation takes some of it.
    assert slopes["sp", tensor, "change", 1] > 0.7


def test_in_mup_every_activation_and_its_change_is_flat(
    slopes: dict[tuple[str, str, str, int], float],
) -> None:
    flat = {key: slope for key, slope in slopes.items() if key[0] == "mup"}
    assert {key: slope for key, slope in flat.items() if abs(slope) > 0.10} == {}
    assert len(flat) == 4 * 4 - 1 + 4 * 2 + 1  # l1 but the zero logits; change once it is not zero
