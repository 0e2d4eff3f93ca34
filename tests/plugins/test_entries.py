"""Entries that are described behave like those that are built in."""

import math
import runpy

import pytest

from muscope import catalogue
from muscope.catalogue import rules
from muscope.catalogue.optimizer_costs import update_cost
from muscope.catalogue.rules import Choice, Size
from muscope.plan import plan, without
from muscope.plugins import known
from muscope.plugins.importing import Installed
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec, digest
from muscope.vocabulary import Role
from tests.plugins import packages

MODEL, OPTIMIZER = "muscope-example/gated_mlp", "muscope-example/signum"
HALF_MUP, KURTOSIS = "muscope-example/half_mup", "muscope-example/kurtosis"


def spec(version: str = "") -> StudySpec:
    """A study of the example's entries."""
    optimizer = OptimizerSpec(name=OPTIMIZER + version, learning_rate=1e-3)
    model = ModelSpec(name=MODEL + version, batch_size=8)
    return StudySpec(
        name="of plugins",
        arms=(Arm(model=model, optimizers=(optimizer,)),),
        parametrizations=(ParametrizationSpec(name=HALF_MUP + version),),
        widths=(16, 32),
        seeds=2,
        steps=2,
    )


def test_the_example_describes_itself_without_fault(example: Installed) -> None:
    assert example.refused == ()
    assert {one.parts.plain for one in example.described} >= {
        "signum", "gated_mlp", "half_mup", "rings",
    }  # fmt: skip


def test_a_name_is_completed_with_its_version(offered: Installed) -> None:
    assert spec() == spec("@0.1.0")
    assert digest(spec()) == digest(spec("@0.1.0"))
    variant = spec().variants[0]
    assert variant.optimizer.name == "muscope-example/signum@0.1.0"
    assert variant.key.startswith("gated_mlp-half_mup-signum-0.001-")


def test_what_is_offered_no_more_is_still_read_and_no_longer_listed(offered: Installed) -> None:
    text = spec().model_dump_json()
    assert f"{OPTIMIZER}@0.1.0" in catalogue.OPTIMIZERS
    known.offer(())
    assert StudySpec.model_validate_json(text).variants[0].label.startswith("Gated MLP [muscope-")
    assert not [name for name in catalogue.OPTIMIZERS if "/" in name]
    with pytest.raises(
        ValueError, match=r"unknown optimizer .*; no living worker has such a plugin"
    ):
        OptimizerSpec(name=OPTIMIZER, learning_rate=1e-3)


def test_built_in_names_cannot_be_taken(offered: Installed) -> None:
    assert all("/" in name and "@" in name for name in catalogue.OPTIMIZERS.offered())
    assert catalogue.OPTIMIZERS["adamw"].title == "AdamW"


def test_the_model_s_weights_follow_its_formulas(offered: Installed) -> None:
    entry = catalogue.MODELS[MODEL]
    weights = {one.name: one for one in entry.weights(64, 3, {"gate": False, "ratio": 4})}
    assert [name for name in weights if "gate" in name] == []
    assert weights["blocks.2.up"].shape == (256, 64)
    assert weights["input"].shape == (64, 16)
    assert weights["readout"].role is Role.OUTPUT
    assert entry.check(60, {}) == "width 60: the width must be a multiple of 8"


def test_the_plan_counts_what_is_described(offered: Installed) -> None:
    width, depth = 32, 2
    planned = plan(spec())
    of_block, ends = 3 * 2 * width**2, width * 16 + 4 * width
    assert planned.largest_parameters == depth * of_block + ends
    cost = update_cost(f"{OPTIMIZER}@0.1.0", Role.HIDDEN, (32, 16), {})
    assert (cost.state, cost.flops) == (32 * 16, 0.0)


def test_what_is_left_of_a_plan_counts_the_statistics_of_plugins_too(offered: Installed) -> None:
    """They are rows as the others are, and a study has a limit of rows."""
    asked = StudySpec.model_validate({**spec().model_dump(), "statistics": (KURTOSIS,)})
    planned, plain = plan(asked), plan(spec())
    assert planned.measurement_rows == 2 * plain.measurement_rows
    first = digest(planned.bundles[0].runs[0])
    share = (planned.run_count - 1) / planned.run_count
    left = without(planned, {first})
    assert left.measurement_rows == share * planned.measurement_rows


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_half_mup_with_the_whole_power_is_mup_in_width(offered: Installed, optimizer: str) -> None:
    """Multipliers, rates and stds; the example leaves epsilon alone."""
    size = Size(512, 2, 64, 2)
    dims = rules.dimensions("gpt", {"head_size": 32, "sequence_length": 64, "mlp_ratio": 4}, size)
    full = catalogue.PARAMETRIZATION_ENTRIES[HALF_MUP].name
    ours = rules.weight_rules(Choice(full, {"power": 1.0, "zero_readout": False}), optimizer, dims)
    theirs = rules.weight_rules(Choice("mup", {"zero_readout": False}), optimizer, dims)
    for name, rule in ours.items():
        for field in ("multiplier", "init_std", "learning_rate_factor"):
            found, expected = getattr(rule, field), getattr(theirs[name], field)
            assert math.isclose(found, expected, rel_tol=1e-12), (name, field)  # float64


def test_a_family_without_rules_is_refused_with_a_sentence(offered: Installed) -> None:
    choice = Choice(catalogue.PARAMETRIZATION_ENTRIES[HALF_MUP].name, {})
    complaint = rules.complaint(choice, "muon", "mlp", {"dataset": "digits"})
    assert "allowed: sign_like, sgd_like" in str(complaint)


def test_a_built_in_model_may_read_a_plugin_s_data(offered: Installed) -> None:
    rings = "muscope-example/rings"
    model = ModelSpec(name="mlp", batch_size=8, options={"dataset": rings})
    assert model.options["dataset"] == f"{rings}@0.1.0"
    assert catalogue.MODELS["mlp"].weights(8, 1, dict(model.options))[0].fan_in == 16
    with pytest.raises(ValueError, match="must be one of python_docs, "):
        ModelSpec(name="gpt", batch_size=8, options={"dataset": rings})


def test_the_example_s_own_tests_pass(example: Installed) -> None:
    """In this process: a pytest of its own would import torch once more."""
    tests = runpy.run_path(str(packages.EXAMPLE / "tests" / "test_plugins.py"))
    plugins = ("SIGNUM", "GATED_MLP", "HALF_MUP", "RINGS", "KURTOSIS")
    assert len(plugins) == len(example.described)
    for plugin in plugins:
        tests["test_muscope_understands_what_it_says"](tests[plugin])
    tests["test_the_data_are_what_they_say"]()
    tests["test_a_normal_tensor_has_the_kurtosis_3"]()
    tests["test_only_the_sign_of_a_gradient_counts"]()
