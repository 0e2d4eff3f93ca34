"""A plan holds every run once, in bundles that can be stacked, and refuses before it expands."""

import json
import time
from collections import Counter

import pytest

from muscope import plan
from muscope.presets.demo import demo
from muscope.spec import RunSpec, StudySpec, digest


def scalars_apart(run: RunSpec) -> tuple[str, str, dict[str, bool | int | float], int, int, int]:
    """What must be equal within a bundle."""
    variant = run.variant
    return (
        variant.model.model_dump_json(),
        variant.optimizer.name,
        variant.optimizer.options,
        run.width,
        run.depth,
        run.steps,
    )


def test_every_run_of_the_grid_is_in_exactly_one_bundle() -> None:
    spec = demo()
    bundled = Counter(digest(run) for bundle in plan.plan(spec).bundles for run in bundle.runs)
    assert set(bundled) == {digest(run) for run in plan.runs(spec)}
    assert set(bundled.values()) == {1}
    assert bundled.total() == spec.run_count


def test_the_runs_of_a_bundle_differ_only_in_scalars() -> None:
    for bundle in plan.plan(demo()).bundles:
        shapes = [scalars_apart(run) for run in bundle.runs]
        assert all(shape == shapes[0] for shape in shapes)


def test_learning_rates_share_a_bundle_and_options_do_not() -> None:
    data = demo().model_dump(mode="json")
    (adamw,) = data["arms"][0]["optimizers"]
    slower = {**adamw, "learning_rate": 1e-3}
    other = {**adamw, "options": {**adamw["options"], "beta1": 0.8}}
    data["arms"] = [{**data["arms"][0], "optimizers": [adamw, slower, other]}]
    spec = StudySpec.model_validate_json(json.dumps(data))
    sizes = [len(bundle.runs) for bundle in plan.plan(spec).bundles]
    assert sorted(set(sizes)) == [10, 20]  # 2 parametrizations × 5 seeds × 1 or 2 rates


def test_runs_of_other_operators_have_their_own_bundles() -> None:
    data = json.loads(demo().model_dump_json())
    data["parametrizations"] = [{"name": name} for name in ("mup", "sp", "u_mup")]
    bundles = plan.plan(StudySpec.model_validate_json(json.dumps(data))).bundles
    together = {
        frozenset(run.variant.parametrization.name for run in bundle.runs) for bundle in bundles
    }
    assert together == {frozenset(("mup", "sp")), frozenset(("u_mup",))}


def test_small_widths_come_first() -> None:
    widths = [bundle.runs[0].width for bundle in plan.plan(demo()).bundles]
    assert widths == sorted(widths)


def test_a_grid_beyond_the_operators_limit_is_refused() -> None:
    with pytest.raises(ValueError, match="the grid has 120 runs, at most 119 are allowed"):
        plan.plan(demo(), max_runs=119)
    assert plan.plan(demo(), max_runs=120).run_count == 120


def test_a_grid_of_many_learning_rates_is_told_to_take_fewer_of_them() -> None:
    data = demo().model_dump(mode="json", exclude={"record", "batches"})
    data |= {"kind": "lr_transfer", "octaves": list(range(-20, 20))}
    with pytest.raises(ValueError, match="take fewer widths, depths, learning rates, seeds"):
        plan.plan(StudySpec.model_validate_json(json.dumps(data)))


def test_too_few_steps_to_tell_learning_rates_apart_are_warned_of() -> None:
    data = demo().model_dump(mode="json", exclude={"record", "batches"})
    data |= {"kind": "lr_transfer", "octaves": [-1, 0, 1], "seeds": 3}
    few, many = (
        plan.plan(StudySpec.model_validate_json(json.dumps(data | {"steps": steps}))).warnings
        for steps in (4, 200)
    )
    assert [line for line in few if line not in many] == [
        "4 steps: so early the largest learning rate wins; take 100 or more"
    ]


def test_a_grid_of_half_a_thousand_million_runs_is_refused_at_once() -> None:
    data = demo().model_dump(mode="json")
    (adamw,) = data["arms"][0]["optimizers"]
    rates = [{**adamw, "learning_rate": 1e-3 * (n + 1)} for n in range(64)]
    arms = [
        {"model": {**data["arms"][0]["model"], "batch_size": n + 1}, "optimizers": rates}
        for n in range(16)
    ]
    widths, depths = [64 * (n + 1) for n in range(64)], list(range(1, 65))
    wide = {**data, "arms": arms, "widths": widths, "depths": depths, "seeds": 64}
    text = json.dumps(wide)
    started_at = time.monotonic()
    with pytest.raises(ValueError, match="the grid has 536870912 runs"):
        StudySpec.model_validate_json(text)
    assert time.monotonic() - started_at < 1.0


def test_sophia_costs_a_tenth_more_than_lion() -> None:
    """Of every ten updates one takes a second gradient (facts 3)."""
    data = demo().model_dump(mode="json") | {"steps": 100}
    flops = {}
    for name in ("lion", "sophia"):
        for arm in data["arms"]:
            arm["optimizers"] = [{"name": name, "learning_rate": 1e-3}]
        flops[name] = plan.plan(StudySpec.model_validate_json(json.dumps(data))).flops
    assert flops["sophia"] / flops["lion"] == pytest.approx((3 * 110 + 1) / (3 * 100 + 1))


def test_products_and_state_of_an_optimizer_are_counted() -> None:
    """Muon keeps one number per weight and multiplies matrices; Shampoo keeps two more squares."""
    data = demo().model_dump(mode="json")
    costs = {}
    for name in ("adamw", "lion", "muon", "shampoo"):
        for arm in data["arms"]:
            arm["optimizers"] = [{"name": name, "learning_rate": 1e-3}]
        (*_, largest) = plan.plan(StudySpec.model_validate_json(json.dumps(data))).bundles
        costs[name] = (largest.flops, largest.memory_bytes)
    flops, memory = ({name: cost[i] for name, cost in costs.items()} for i in (0, 1))
    assert flops["adamw"] == flops["lion"] < min(flops["muon"], flops["shampoo"])
    assert memory["lion"] < memory["adamw"] < memory["muon"] < memory["shampoo"]


def test_fresh_batches_of_large_images_are_counted() -> None:
    """65 536 images are 805 MB, and every seed has its own: that is no study for 24 GB."""
    data = demo().model_dump(mode="json")
    model = {"name": "mlp", "batch_size": 65_536, "options": {"dataset": "synthetic_cifar"}}
    data["arms"] = [{**data["arms"][0], "model": model}]
    data |= {"widths": [1, 2], "base_width": 1, "seeds": 64}
    memory = {}
    for batches in ("fixed", "fresh"):
        spec = StudySpec.model_validate_json(json.dumps(data | {"batches": batches}))
        memory[batches] = plan.plan(spec).bundles[0].memory_bytes
    images = 65_536 * 3072 * 4
    assert memory["fixed"] > images
    assert memory["fresh"] - memory["fixed"] > 64 * images


def test_costs_add_up() -> None:
    planned = plan.plan(demo())
    assert planned.flops == pytest.approx(sum(bundle.flops for bundle in planned.bundles))
    per_run = {"gpt": 18, "mlp": 4}  # activations
    steps = demo().steps + 1
    rows = sum(per_run[run.variant.model.name] * steps for run in plan.runs(demo()))
    assert planned.measurement_rows == rows


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seeds": 1}, "1 seed"),
        ({"seeds": 2}, "2 seeds"),
        ({"seeds": 4, "stop_early": True}, "one look only"),
        ({"widths": [64, 128]}, "fewer than 4 widths"),
        ({"widths": [32, 64, 128, 256]}, "smallest width 32"),
    ],
)
def test_a_weak_grid_is_warned_of_before_it_costs_anything(
    change: dict[str, object], words: str
) -> None:
    data = {**demo().model_dump(mode="json", exclude={"base_width"}), **change}
    assert any(
        words in w for w in plan.plan(StudySpec.model_validate_json(json.dumps(data))).warnings
    )


def test_what_fp8_rounds_to_zero_is_warned_of() -> None:
    data = demo().model_dump(mode="json")
    assert not any("fp8" in words for words in plan.plan(demo()).warnings)
    data["arms"][0]["model"]["options"]["precision"] = "fp8"
    warnings = plan.plan(StudySpec.model_validate_json(json.dumps(data))).warnings
    assert any("what underflows is exactly zero" in words for words in warnings)


@pytest.mark.parametrize(
    ("optimizer", "rate", "warned"),
    [("adamw", 0.003, True), ("adamw", 1.0, False), ("sgd", 0.003, False)],
)
def test_a_rate_of_sp_is_warned_of_under_u_mup(optimizer: str, rate: float, warned: bool) -> None:
    data = {
        **demo().model_dump(mode="json", exclude={"base_width"}),
        "parametrizations": [{"name": "mup"}, {"name": "u_mup"}],
    }
    data["arms"][0]["optimizers"] = [{"name": optimizer, "learning_rate": rate}]
    data["arms"] = data["arms"][:1]
    warnings = plan.plan(StudySpec.model_validate_json(json.dumps(data))).warnings
    assert any("absolute" in words for words in warnings) is warned


@pytest.mark.parametrize(
    ("optimizer", "decay", "warned"), [("adam", 0.1, True), ("adam", 0, False), ("adamw", 1, False)]
)
def test_decay_in_adams_gradient_is_warned_of(optimizer: str, decay: float, warned: bool) -> None:
    """No clean rule (facts 3): it is divided by the root of the moments with the gradient."""
    data = demo().model_dump(mode="json", exclude={"base_width"})
    given = {"name": optimizer, "learning_rate": 0.003, "options": {"weight_decay": decay}}
    data["arms"] = data["arms"][:1]
    data["arms"][0]["optimizers"] = [given]
    warnings = plan.plan(StudySpec.model_validate_json(json.dumps(data))).warnings
    assert any("take 'adamw' to transfer it" in words for words in warnings) is warned


def test_a_bundle_is_cut_into_pieces_of_what_fits_with_every_run_once() -> None:
    bundle = plan.plan(demo()).bundles[0]
    for size in range(1, len(bundle.runs) + 1):
        room = plan.together(bundle.runs[:size]).memory_bytes / plan.USABLE
        pieces = plan.cut(bundle, round(room) + 1)
        assert tuple(run for piece in pieces for run in piece.runs) == bundle.runs
        assert len(pieces[0].runs) == max(len(piece.runs) for piece in pieces) == size
        assert all(piece.memory_bytes <= plan.USABLE * (room + 1) for piece in pieces)


def test_a_bundle_that_fits_is_left_as_it_is() -> None:
    bundle = plan.plan(demo()).bundles[0]
    assert plan.cut(bundle, 2**50) == (bundle,)


def test_a_run_that_does_not_fit_is_alone() -> None:
    bundle = plan.plan(demo()).bundles[0]
    for free in (-1, 0, 1):
        pieces = plan.cut(bundle, free)
        assert [len(piece.runs) for piece in pieces] == [1] * len(bundle.runs)
