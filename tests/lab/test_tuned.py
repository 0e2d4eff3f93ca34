"""Multipliers that a search tunes: scalars of a member, the same as options of its variant."""

import math

import pytest

from muscope import catalogue
from muscope.lab import engine, parametrize
from muscope.plan import bundles
from muscope.spec import ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, Variant

GPT = ModelSpec(name="gpt", batch_size=4, options={"head_size": 8, "sequence_length": 8})
SETS: dict[str, tuple[dict[str, float], ...]] = {
    "mup": (
        {},
        {"embedding_multiplier": 1.0, "readout_multiplier": -0.5},
        {"init_std_multiplier": -1.0, "attention_multiplier": 2.0, "residual_multiplier": 0.5},
    ),
    "u_mup": (
        {},
        {"alpha_res": 1.0, "alpha_loss_softmax": -0.5},
        {"alpha_attn_softmax": 1.0, "alpha_ffn_act": 0.5, "alpha_res_attn_ratio": -1.0},
    ),
    "cerebras": ({}, {"base_std": -1.0, "embeddings_scale": -2.0, "output_logits_alpha": 1.0}),
}


def run(name: str, tuned: dict[str, float]) -> RunSpec:
    return RunSpec(
        variant=Variant(
            model=GPT,
            parametrization=ParametrizationSpec(name=name),
            optimizer=OptimizerSpec(name="adamw", learning_rate=0.01),
        ),
        width=16,
        depth=2,
        base_width=8,
        base_depth=2,
        seed=0,
        steps=3,
        record="losses",
        batches="fresh",
        tuned=tuned,
        gradient_norm=True,
    )


def as_options(one: RunSpec) -> RunSpec:
    """The same with the multipliers written into the variant."""
    variant = one.variant.model_copy(update={"parametrization": one.parametrization})
    return one.model_copy(update={"variant": variant, "tuned": {}})


def curves(members: list[RunSpec]) -> list[list[float]]:
    records = list(engine.train(members))
    return [
        [record.progress[place].train_loss for record in records] for place in range(len(members))
    ]


@pytest.mark.parametrize("name", SETS)
def test_sets_are_trained_in_one_bundle_as_each_alone_with_its_options(name: str) -> None:
    members = [run(name, tuned) for tuned in SETS[name]]
    (bundle,) = bundles(members)
    together = curves(list(bundle.runs))
    alone = [curves([as_options(one)])[0] for one in members]
    # float32, and another order of summation in a stack
    assert together == [pytest.approx(curve, rel=1e-5) for curve in alone]
    assert len({round(curve[-1], 4) for curve in together}) == len(members), (
        "each changes something"
    )


@pytest.mark.parametrize("name", ["mup", "u_mup", "cerebras", "minicpm", "complete_p"])
def test_every_multiplier_of_a_transformer_changes_its_training(name: str) -> None:
    known = run(name, {}).variant.acting
    assert set(known) == set(catalogue.PARAMETRIZATION_ENTRIES[name].tuned)
    # a readout that starts at zero hides its own size; with it every other one is seen too
    given = ParametrizationSpec(name=name, options={"zero_readout": False})
    members = [run(name, tuned) for tuned in ({}, *({one: 1.0} for one in known))]
    members = [
        one.model_copy(
            update={"variant": one.variant.model_copy(update={"parametrization": given})}
        )
        for one in members
    ]
    last = [curve[-1] for curve in curves(members)]
    assert len(set(last)) == len(last)


def test_the_norm_of_the_gradient_is_that_of_all_weights_of_each_member() -> None:
    members = [run("mup", {}), run("mup", {"readout_multiplier": 1.0})]
    members = [one.model_copy(update={"record": "standard"}) for one in members]
    first = next(iter(engine.train(members)))
    sizes = {
        (row.member, row.tensor): row.values.rms
        for row in first.measurements
        if row.kind == "gradient"
    }
    counts = {entry.name: entry.parameters for entry in _weights(members[0])}
    for place, entry in enumerate(first.progress):
        squares = (counts[name] * (sizes[place, name] or 0.0) ** 2 for name in counts)
        assert entry.grad_norm == pytest.approx(math.sqrt(math.fsum(squares)), rel=1e-5)


def _weights(one: RunSpec) -> tuple[catalogue.WeightEntry, ...]:
    options = dict(one.model.options)
    return catalogue.MODELS[one.model.name].weights(one.width, one.depth, options)


def test_who_does_not_ask_gets_no_norm() -> None:
    silent = run("mup", {}).model_copy(update={"gradient_norm": False})
    assert all(
        entry.grad_norm is None for record in engine.train([silent]) for entry in record.progress
    )
    assert parametrize.rules(silent) == parametrize.rules(run("mup", {}))


def test_the_readouts_multiplier_changes_the_training_of_tied_embeddings_too() -> None:
    tied = GPT.model_copy(update={"options": {**GPT.options, "tied_embeddings": True}})
    members = [run("cerebras", tuned) for tuned in ({}, {"output_logits_alpha": 1.0})]
    members = [
        one.model_copy(update={"variant": one.variant.model_copy(update={"model": tied})})
        for one in members
    ]
    assert "output_logits_alpha" in members[0].variant.acting
    given, doubled = curves(members)
    assert given[0] != doubled[0]
