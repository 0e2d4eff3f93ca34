"""A recipe carries what a study found to another size, and says loudly what it did not find."""

import math
from collections.abc import Sequence
from dataclasses import astuple, replace
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from muscope import plan
from muscope.catalogue import OPTIMIZERS, Options
from muscope.catalogue.rules import Choice, Size, dimensions, weight_rules
from muscope.recipe import Format, NotARecipe, NotJudged, Recipe, cerebras_keys, export, recipe
from muscope.recipe.making import AnyVerdict
from muscope.recipe.types import Rate, TensorRecipe
from muscope.spec import ParametrizationSpec, StudySpec
from muscope.theory import symmetry
from muscope.theory.rule import WeightRule
from muscope.verdicts.hyperparameters.types import (
    Agreement,
    HyperparameterSet,
    JudgedSet,
    SearchJudgement,
    SetAtWidth,
)
from muscope.verdicts.transfer import judge
from muscope.verdicts.transfer.losses import Trial, of_run
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict, DecayForm, SearchVerdict
from tests.core.recipes import DEEP, WIDE, study, swept


def checked(spec: StudySpec, verdict: CellVerdict) -> VariantVerdict:
    return VariantVerdict(
        variant=spec.variants[0].key,
        label="",
        verdict=verdict,
        final=True,
        runs_judged=1,
        runs_planned=1,
        tensors=(),
        cells=(),
    )


def made(spec: StudySpec, verdicts: Sequence[AnyVerdict] | None = None) -> Recipe:
    return recipe(spec, "", swept(spec) if verdicts is None else verdicts, WIDE, 2)


def test_the_rate_is_the_optimum_of_the_nearest_width_with_its_interval_in_octaves() -> None:
    rate = made(study()).rate
    assert (rate.origin, rate.width, rate.depth, rate.seeds) == (Rate.OPTIMUM, 128, 2, 3)
    assert math.log2(rate.learning_rate) == pytest.approx(-6 + 0.3)
    # t(2 degrees of freedom, 95 %) 0.1 / sqrt(3)
    assert (rate.low, rate.high) == pytest.approx((-0.1686, 0.1686), abs=1e-4)


def test_a_recipe_that_nothing_speaks_against_has_no_warning() -> None:
    assert made(study()).warnings == ()


def test_a_drift_is_said_with_where_the_optimum_of_the_target_would_be() -> None:
    spec = study("sp")
    found = made(spec, swept(spec, drift=-1.0, start=1.0))
    assert found.warnings[0].startswith("The learning rate does not transfer")
    # one octave per doubling, two doublings from 128 to 512
    assert "−2.0 to −2.0 octaves away" in found.warnings[0]
    assert any(warning.startswith("With SP the best") for warning in found.warnings), "why"
    assert math.log2(found.rate.learning_rate) == pytest.approx(-6 - 1), "and the rate stays"


def test_a_rate_that_moves_with_the_batch_size_is_for_the_one_that_it_was_found_at() -> None:
    spec = StudySpec.model_validate(
        {**dict(study()), "widths": (64,), "base_width": 64, "batch_sizes": (4, 8, 16)}
    )
    trials = [
        of_run(
            run,
            2 + (run.octave - math.log2((run.batch_size or 0) / 8)) ** 2,
            start=9.0,
            train_loss=2.0,
        )
        for run in plan.runs(spec)
    ]
    judged = judge.judge(spec, trials, runs_judged={}, final=True)
    warning = recipe(spec, "", judged, 64, 2).warnings[0]
    assert warning.startswith("The learning rate is that of batch size 16 alone: the optimum moves")


@pytest.mark.parametrize(
    ("drift", "start"),
    [(0.0, 0.3), (0.0, 5.0)],
    ids=["transfers here", "off the grid"],
)
def test_a_drift_that_theory_expects_is_said_whatever_was_measured(
    drift: float, start: float
) -> None:
    spec = study("sp")
    known = swept(spec, drift=drift, start=start)
    said = [one for one in made(spec, known).warnings if one.startswith("Theory expects")]
    # two doublings from 128 to 512, one octave down for each
    assert len(said) == 1
    assert "to 512 by −2.0 octaves" in said[0]
    at_home = " ".join(recipe(spec, "", known, 128, 2).warnings)
    assert "Theory expects" not in at_home, "it was found there"


def test_a_drift_that_theory_expects_of_a_search_is_said() -> None:
    spec = study("sp")
    searched = found_by_a_search(spec, SearchVerdict.HOLDS)
    (won,) = searched.sets
    plain = won.hyperparameters.model_copy(update={"multipliers": {}})
    sets = (won.model_copy(update={"hyperparameters": plain}),)
    found = made(spec, [searched.model_copy(update={"sets": sets})])
    assert any("by −2.0 octaves" in one for one in found.warnings)


def test_an_optimum_at_the_edge_is_the_best_tried_and_has_no_interval() -> None:
    spec = study()
    found = made(spec, swept(spec, start=5.0))
    assert (found.rate.origin, found.rate.low) == (Rate.BEST_TRIED, None)
    assert any("not bracketed" in warning for warning in found.warnings)
    assert found.rate.learning_rate == 2**-4, "the largest rate that was tried"


def test_where_everything_diverged_there_is_no_recipe() -> None:
    spec = study()
    trials = [
        Trial(run.variant.key, run.width, run.depth, run.octave, run.seed, math.inf)
        for run in plan.runs(spec)
    ]
    judged = judge.judge(spec, trials, runs_judged={}, final=True)
    with pytest.raises(NotARecipe, match=r"no learning rate of .* gave a finite loss"):
        made(spec, judged)


def test_a_study_without_a_verdict_has_no_recipe_yet() -> None:
    with pytest.raises(NotJudged, match="has not been judged yet"):
        made(study(), [])


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (CellVerdict.GROWS, "The coordinate check failed"),
        (CellVerdict.INCONCLUSIVE, "The coordinate check is inconclusive"),
    ],
)
def test_a_check_that_did_not_pass_is_said_beside_a_rate_that_transfers(
    verdict: CellVerdict, said: str
) -> None:
    spec = study()
    found = made(spec, [*swept(spec), checked(spec, verdict)])
    assert found.rate.origin is Rate.OPTIMUM
    assert found.warnings[0].startswith(said)


def test_of_a_coordinate_check_the_rate_is_as_given_and_says_so() -> None:
    spec = study()
    check = StudySpec.model_validate(
        {**dict(spec), "kind": "coordinate_check", "octaves": (), "record": "activations"}
        | {"batches": "fixed"}
    )
    found = made(check, [checked(check, CellVerdict.FLAT)])
    assert (found.rate.origin, found.rate.learning_rate) == (Rate.GIVEN, 2**-6)
    assert [warning for warning in found.warnings if "given and not tuned" in warning]


@pytest.mark.parametrize(
    ("width", "depth", "said"),
    [(512, 9, "Depth 9 lies outside"), (128 * 128, 2, "128 times the largest")],
)
def test_what_lies_beyond_the_study_is_said(width: int, depth: int, said: str) -> None:
    spec = study()
    assert said in " ".join(recipe(spec, "", swept(spec), width, depth).warnings)


def test_what_lingle_saw_hold_from_width_128_to_8192_is_not_warned_of() -> None:
    spec = study()
    assert recipe(spec, "", swept(spec), 8192, 2).warnings == ()


def test_a_readout_whose_numbers_depend_on_the_vocabulary_is_said() -> None:
    for name, is_said in (("spectral", True), ("mup", False)):
        said = " ".join(made(study(name, model="llama")).warnings)
        assert ("outputs, as many as the study's data have" in said) is is_said


@pytest.mark.parametrize(
    ("variant", "width", "depth", "said"),
    [
        ("nobody", 512, 2, "the study has mlp-mup"),
        ("", 0, 2, "width must be a whole number from 1"),
        ("", 64.0, 2, r"width must be a whole number .* got 64\.0"),
        ("", 512, 600, "depth must be a whole number from 1 to 512"),
    ],
)
def test_a_target_that_cannot_be_is_refused_in_a_sentence(
    variant: str, width: Any, depth: int, said: str
) -> None:
    spec = study()
    with pytest.raises(NotARecipe, match=said):
        recipe(spec, variant, swept(spec), width, depth)


def test_heads_that_the_width_does_not_have_are_refused() -> None:
    spec = study(model="gpt")
    with pytest.raises(NotARecipe, match="not a multiple of the head size"):
        recipe(spec, "", swept(spec), 500, 2)


def test_a_variant_that_is_broken_on_purpose_has_no_recipe() -> None:
    spec = study()
    broken = ParametrizationSpec(name="mup", fault="hidden_rate_not_scaled")
    spec = StudySpec.model_validate({**dict(spec), "parametrizations": (broken,)})
    with pytest.raises(NotARecipe, match="broken on purpose"):
        made(spec)


def test_every_number_is_the_rule_s_at_the_target_times_what_was_tuned() -> None:
    spec = study("complete_p", model="gpt", weight_decay=0.1, epsilon=1e-8)
    found = recipe(spec, "", swept(spec), WIDE, DEEP)
    model = spec.variants[0].model
    dims = dimensions(model.name, dict(model.options), Size(WIDE, DEEP, 32, 2))
    rules = weight_rules(Choice("complete_p", {"alpha": 1.0}), "adamw", dims)
    for tensor in found.tensors:
        rule = rules[tensor.name]
        assert tensor.learning_rate == found.rate.learning_rate * rule.learning_rate_factor
        assert tensor.weight_decay == 0.1 * rule.weight_decay_factor
        assert tensor.epsilon == 1e-8 * rule.epsilon_factor
        assert (tensor.init_std, tensor.multiplier) == (rule.init_std, rule.multiplier)
        assert "Dey et al. 2025 (CompleteP), Table 1" in tensor.rule
    assert found.residual_multiplier == 1 / 4


@settings(max_examples=12, deadline=None)
@given(
    form=st.sampled_from(["table3", "table9"]),
    optimizer=st.sampled_from(["adamw", "adamw_independent", "lion", "muon", "sgd"]),
    heads=st.integers(1, 256),
    depth=st.integers(1, 12),
)
def test_the_recipes_of_the_three_tables_train_one_function(
    form: str, optimizer: str, heads: int, depth: int
) -> None:
    def at_target(table: str) -> Recipe:
        decay = {} if optimizer == "sgd" else {"weight_decay": 0.1}
        options: Options = {"form": table, "zero_readout": False}
        spec = study("mup", options, "gpt", {"biases": True}, name=optimizer, **decay)
        return recipe(spec, "", swept(spec), 16 * heads, depth)

    entry = OPTIMIZERS[optimizer]
    for mine, theirs in zip(at_target("table8").tensors, at_target(form).tensors, strict=True):
        theta = theirs.multiplier / mine.multiplier
        same = symmetry.transform(_rule(mine), theta, entry.family_of(mine.role), entry.decay)
        decay = mine.weight_decay if entry.decay is DecayForm.INDEPENDENT else None
        wanted = replace(same, weight_decay_factor=decay) if decay else same
        assert astuple(_rule(theirs)) == pytest.approx(astuple(wanted), rel=1e-12)  # float64


def _rule(tensor: TensorRecipe) -> WeightRule:
    return WeightRule(
        multiplier=tensor.multiplier,
        init_std=tensor.init_std,
        learning_rate_factor=tensor.learning_rate,
        weight_decay_factor=tensor.weight_decay,
        epsilon_factor=tensor.epsilon or 0.0,
    )


def found_by_a_search(spec: StudySpec, verdict: SearchVerdict) -> SearchJudgement:
    """A search whose winner has twice the rate and half the multiplier of the readout."""
    own = HyperparameterSet(
        learning_rate=2**-5,
        multipliers={"readout_multiplier": 0.5},
        octaves={"learning_rate": 1.0, "readout_multiplier": -1.0},
    )
    nothing = dict.fromkeys(("low", "high", "behind", "behind_low", "behind_high", "growth"))
    at = SetAtWidth(
        width=128, rank=1, loss=2.0, seeds=3, diverged=0, spikes=0, is_steady=True, **nothing
    )
    return SearchJudgement(
        variant=spec.variants[0].key,
        label="",
        method="random",
        names=("readout_multiplier",),
        learning_rate=2**-6,
        verdict=verdict,
        final=True,
        runs_judged=1,
        runs_planned=1,
        tolerance=0.01,
        sets=(JudgedSet(number=7, hyperparameters=own, widths=(at,)),),
        chosen=7,
        winner=7,
        agreements=(),
    )


def test_the_winner_of_a_search_enters_with_its_multipliers() -> None:
    spec = study("mup")
    found = made(spec, [found_by_a_search(spec, SearchVerdict.HOLDS)])
    given = made(spec)
    assert (found.rate.origin, found.rate.learning_rate) == (Rate.SEARCHED, 2**-5)
    assert found.tensor("readout").multiplier == given.tensor("readout").multiplier / 2
    assert found.variant == given.variant, "the study's own key"
    (only,) = found.warnings
    assert only.startswith("The learning rate has no interval")
    assert "3 seeds or more" not in only, "three were taken"


def test_a_winner_at_the_end_of_what_was_tried_is_said_although_the_choice_holds() -> None:
    spec = study("mup")
    searched = found_by_a_search(spec, SearchVerdict.HOLDS)
    found = made(spec, [searched.model_copy(update={"at_edge": ("readout_multiplier",)})])
    assert "at the end of what was tried of: readout multiplier." in found.warnings[0]


def test_a_winner_of_few_seeds_says_so() -> None:
    spec = study("mup")
    searched = found_by_a_search(spec, SearchVerdict.HOLDS)
    (won,) = searched.sets
    few = won.model_copy(update={"widths": (won.widths[0].model_copy(update={"seeds": 1}),)})
    (only,) = made(spec, [searched.model_copy(update={"sets": (few,)})]).warnings
    assert "by 1 seed; take 3 seeds or more" in only


def test_a_search_whose_choice_does_not_hold_says_so() -> None:
    spec = study("mup")
    at_128 = Agreement(
        width=128,
        sets=2,
        correlation=None,
        low=None,
        high=None,
        regret=0.1,
        regret_low=0.05,
        regret_high=0.2,
    )
    searched = found_by_a_search(spec, SearchVerdict.LOSES)
    found = made(spec, [searched.model_copy(update={"agreements": (at_128,)})])
    assert found.warnings[0] == (
        "The best set of the smallest width is not that of width 128: its loss is 0.100 above the "
        "least there, so take the one that is ranked first there."
    )


def test_json_is_read_back_as_the_same_recipe() -> None:
    found = made(study("u_mup", model="gpt"))
    assert Recipe.model_validate_json(export(found, Format.JSON)) == found


EXPRESSIBLE = [
    (Format.CEREBRAS, study("cerebras", model="gpt")),
    (Format.CEREBRAS, study("cerebras", {"scale_output_logits_by_d": False}, model="gpt")),
    (Format.CEREBRAS, study("cerebras", {"decoder_attention": 0.3}, model="llama")),
    (Format.CEREBRAS, study("cerebras", model="gpt", model_options={"tied_embeddings": True})),
    (Format.CEREBRAS, study("mup", model="gpt", model_options={"biases": True})),
    (Format.CEREBRAS, study("lingle", model="gpt")),
    (Format.CEREBRAS, study("sp", {"init": "gpt2"}, model="gpt")),
    (Format.NANOTRON, study("nanotron", model="llama", model_options={"fused_projections": True})),
    (Format.NANOTRON, study("sp", {"init": "gpt2"}, model="llama")),
]


@pytest.mark.parametrize(("format", "spec"), EXPRESSIBLE)
def test_what_a_format_can_say_is_written_with_its_warnings_on_top(
    format: Format, spec: StudySpec
) -> None:
    text = export(recipe(spec, "", swept(spec), WIDE, DEEP), format)
    assert yaml.safe_load(text)
    assert "# WARNING: Depth 8 lies outside" in text


INEXPRESSIBLE = [
    (Format.CEREBRAS, study("mup"), "trains language models"),
    (Format.CEREBRAS, study("mup", model="gpt", weight_decay=0.1), "weight decay of"),
    (Format.CEREBRAS, study("complete_p", model="gpt"), "cannot say this recipe"),
    (Format.CEREBRAS, study("mup", model="gpt", name="lion"), "no key for Lion"),
    (Format.NANOTRON, study("mup", model="gpt"), "that of a Llama"),
    (Format.NANOTRON, study("mup", model="llama"), "no key for the rules of µP; make a study of"),
    (Format.NANOTRON, study("nanotron", model="llama"), "should be .* and fused_projections"),
    (Format.NANOTRON, study("sp", model="llama"), "should be .* 'sp' and init 'gpt2'"),
]


@pytest.mark.parametrize(("format", "spec", "said"), INEXPRESSIBLE)
def test_what_a_format_cannot_say_is_refused_in_a_sentence(
    format: Format, spec: StudySpec, said: str
) -> None:
    with pytest.raises(NotARecipe, match=said):
        export(recipe(spec, "", swept(spec), WIDE, DEEP), format)


def test_nanotron_s_file_warns_that_its_own_rule_differs() -> None:
    _, spec = EXPRESSIBLE[-2]
    text = " ".join(export(made(spec), Format.NANOTRON).replace("\n# ", " ").split())
    assert "WARNING: nanotron's own rule differs from every published µP" in text


def test_cerebras_file_has_the_keys_of_its_guide() -> None:
    text = export(made(study("cerebras", model="gpt")), Format.CEREBRAS)
    init = yaml.safe_load(text)["trainer"]["init"]
    said = {key: init["model"][key] for key in ("mup_base_hidden_size", "mup_base_filter_size")}
    assert said == {"mup_base_hidden_size": 32, "mup_base_filter_size": 128}
    keys = """hidden_size filter_size num_hidden_layers embedding_initializer initializer
    output_layer_initializer attention_type scale_qk_dot_by_d scale_output_logits_by_d
    embeddings_scale output_logits_alpha attention_logits_alpha"""
    assert set(keys.split()) <= set(init["model"])


def test_a_broken_key_reads_as_another_model() -> None:
    text = export(made(study("cerebras", model="gpt")), Format.CEREBRAS)
    broken = text.replace("mup_base_hidden_size: 32", "mup_base_hidden_size: 512")
    right, wrong = (cerebras_keys.read(one).by_name()["blocks.0.attn.q"] for one in (text, broken))
    assert wrong.learning_rate == pytest.approx(16 * right.learning_rate)
    assert wrong.init_std == pytest.approx(4 * right.init_std)


def test_a_name_that_could_end_a_comment_stays_in_it() -> None:
    spec = study().model_copy(update={"name": '"""; import os #'})
    text = export(made(spec, swept(study())), Format.PYTORCH)
    assert all(line.startswith("#") for line in text.splitlines() if "import os" in line)
