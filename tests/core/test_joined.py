"""Check and sweep read together: who passes, and the known reasons that apply, and no others."""

import json
import math

import pytest
from pydantic import ValidationError
from scipy.special import stdtrit

from muscope import plan
from muscope.spec import CheckSpec, StudySpec, canonical_json, digest
from muscope.stages import Results, next_stage
from muscope.verdicts.joined.judge import join
from muscope.verdicts.joined.types import Joined, Outcome
from muscope.verdicts.transfer.judge import judge
from muscope.verdicts.transfer.losses import Trial
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import CellVerdict
from tests.core.test_transfer import spec as sweep


def spec(**changes: object) -> StudySpec:
    """The sweep of an MLP with a coordinate check; wide and long, so that nothing is suspect."""
    plain = {"widths": (256, 512, 1024), "steps": 5_000, "check": CheckSpec()}
    return sweep(**(plain | changes))


def trials(study: StudySpec, *, drift: float) -> list[Trial]:
    """Parabolas whose vertex moves by `drift` octaves per doubling, around that of the middle."""
    middle = math.log2(study.widths[len(study.widths) // 2])
    return [
        Trial(
            run.variant.key,
            run.width,
            run.depth,
            run.octave,
            run.seed,
            (run.octave - drift * (math.log2(run.width) - middle) - 0.01 * run.seed) ** 2,
        )
        for run in plan.runs(study.sweep or study)
    ]


def checked(study: StudySpec, *, passes: bool | None, **more: object) -> VariantVerdict:
    """A verdict as the check of this study would have it."""
    words = {True: CellVerdict.FLAT, False: CellVerdict.GROWS, None: CellVerdict.INCONCLUSIVE}
    (variant,) = study.variants
    verdict = VariantVerdict(
        variant=variant.key,
        label=variant.label,
        verdict=words[passes],
        final=True,
        runs_judged=15,
        runs_planned=15,
        stable=passes,
        tensors=(),
        cells=(),
    )
    return verdict.model_copy(update=more)


def joined(study: StudySpec, *, passes: bool | None, drift: float, **more: object) -> Joined:
    """What both come to, of a sweep whose optimum moves so many octaves per doubling."""
    known = trials(study.sweep or study, drift=drift)
    swept = judge(study.sweep or study, known, runs_judged={}, final=True)
    (found,) = join(study, [checked(study, passes=passes, **more)], swept)
    return found


def keys(found: Joined) -> list[str]:
    return [reason.key for reason in found.reasons]


def test_a_check_leaves_every_other_digest_as_it_was() -> None:
    assert "check" not in json.loads(canonical_json(sweep()))
    joined = sweep(check=CheckSpec())
    assert joined.sweep is not None
    assert digest(joined.sweep) == digest(sweep())
    assert digest(joined) != digest(sweep())


def test_a_joined_study_trains_the_runs_of_both_and_no_more() -> None:
    study = spec()
    check, alone = study.parts
    apart = {digest(run) for part in (check, alone) for run in plan.runs(part)}
    together = [digest(run) for run in plan.runs(study)]
    assert len(together) == len(set(together)) == study.run_count
    assert set(together) == apart


def test_the_check_trains_at_the_rate_of_the_variant_itself() -> None:
    check, _ = spec().parts
    runs = list(plan.runs(check))
    assert {run.learning_rate for run in runs} == {2**-6}
    assert {run.batches for run in runs} == {"fixed"}
    assert {run.record for run in runs} == {"activations"}


def test_runs_of_check_and_sweep_are_never_stacked_together() -> None:
    study = spec(steps=4)  # as long as the check
    for bundle in plan.plan(study).bundles:
        assert len({run.record for run in bundle.runs}) == 1


def test_an_adaptive_search_begins_with_the_check_and_goes_on_alone() -> None:
    study = spec(search="adaptive")
    check, alone = study.parts
    first = next_stage(study, Results())
    assert set(map(digest, plan.runs(check))) <= set(map(digest, first))
    known = [one for one in trials(alone, drift=0.0) if one.width == 256]
    later = next_stage(study, Results(1, trials=known))
    assert later == next_stage(alone, Results(1, trials=known))


def test_the_check_goes_on_after_the_warm_up() -> None:
    data = json.loads(canonical_json(sweep(steps=100)))
    data["arms"][0]["optimizers"][0]["options"]["warmup_steps"] = 10
    data["check"] = {}
    study = StudySpec.model_validate_json(json.dumps(data))
    assert study.check is not None
    assert study.check.steps == 14
    data["check"] = {"steps": 4}
    with pytest.raises(ValidationError, match="check's optimizer 'adamw': warmup_steps 10"):
        StudySpec.model_validate_json(json.dumps(data))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"record": "losses"}, "record at least activations"),
        ({"seeds": 0}, "greater than or equal to 1"),
    ],
)
def test_a_check_that_could_say_nothing_is_refused(
    fields: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        CheckSpec.model_validate(fields)


@pytest.mark.parametrize(
    ("passes", "drift", "outcome"),
    [
        (True, 0.0, Outcome.BOTH_HOLD),
        (True, -0.6, Outcome.ONLY_CHECK),
        (False, 0.0, Outcome.ONLY_TRANSFER),
        (False, -0.6, Outcome.NEITHER),
        (None, 0.0, Outcome.UNDECIDED),
        (True, 5.0, Outcome.UNDECIDED),  # off the grid
    ],
)
def test_the_outcome_says_which_of_the_two_holds(
    *, passes: bool | None, drift: float, outcome: Outcome
) -> None:
    assert joined(spec(), passes=passes, drift=drift).outcome is outcome


def test_without_a_known_reason_none_is_made_up() -> None:
    found = joined(spec(), passes=True, drift=-0.6)
    assert keys(found) == []
    assert "none of the known reasons applies" in found.advice
    assert joined(spec(), passes=True, drift=0.0).reasons == ()


ADAMW = {"learning_rate": 2**-6, "name": "adamw"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            {
                "optimizer": {**ADAMW, "options": {"epsilon": 1e-8}},
                "parametrization": {"name": "minicpm"},  # which does not scale it
            },
            "fixed_epsilon",
        ),
        ({"parametrization": {"name": "sp"}}, "expected_drift"),
        ({"parametrization": {"name": "mup", "fault": "hidden_std_fixed"}}, "fault"),
        ({"widths": [128, 256, 512]}, "narrow_proxy"),
        ({"steps": 200}, "short_horizon"),
        ({"octaves": [-4, -2, 0, 2, 4]}, "coarse_grid"),
        ({"check": {"steps": 2}}, "short_check"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_reason_is_listed_where_it_applies_and_only_there(
    change: dict[str, object], expected: str
) -> None:
    data = json.loads(canonical_json(spec()))
    change = dict(change)
    optimizer, parametrization = change.pop("optimizer", None), change.pop("parametrization", None)
    if optimizer:
        data["arms"][0]["optimizers"] = [optimizer]
    if parametrization:
        data["parametrizations"] = [parametrization]
    if "widths" in change:
        del data["base_width"]
    study = StudySpec.model_validate_json(json.dumps(data | change))
    assert keys(joined(study, passes=True, drift=-0.6)) == [expected]


@pytest.mark.parametrize(("drift", "others"), [(-1.0, []), (-0.6, ["short_horizon"])])
def test_a_rate_that_moves_as_theory_says_needs_no_other_reason(
    drift: float, others: list[str]
) -> None:
    data = json.loads(canonical_json(spec(steps=200))) | {"parametrizations": [{"name": "sp"}]}
    study = StudySpec.model_validate_json(json.dumps(data))
    assert keys(joined(study, passes=True, drift=drift)) == ["expected_drift", *others]


@pytest.mark.parametrize("passes", [True, False])
def test_an_undecided_rate_that_is_known_to_move_says_so_and_what_kept_it_open(
    *, passes: bool
) -> None:
    data = json.loads(canonical_json(spec())) | {"parametrizations": [{"name": "sp"}]}
    study = StudySpec.model_validate_json(json.dumps(data))
    found = joined(study, passes=passes, drift=5.0)  # off the grid
    assert found.outcome is Outcome.UNDECIDED
    assert keys(found) == ["edge_of_grid", "expected_drift"]
    word = "passes" if passes else "fails"
    assert found.sentence == (
        f"the coordinate check {word}, and whether the learning rate transfers is undecided"
    )


def test_a_rate_that_transfers_beside_an_open_check_has_no_reason_to_move() -> None:
    data = json.loads(canonical_json(spec())) | {"parametrizations": [{"name": "sp"}]}
    study = StudySpec.model_validate_json(json.dumps(data))
    assert keys(joined(study, passes=None, drift=0.0)) == []
    assert keys(joined(study, passes=None, drift=-0.6)) == ["expected_drift"]


def gpt(
    *, optimizer: dict[str, object] | None = None, model: dict[str, object] | None = None
) -> StudySpec:
    """A pre-norm GPT under µP at proper widths."""
    data = json.loads(canonical_json(spec()))
    options = {"sequence_length": 16, **(model or {})}
    data["arms"][0]["model"] = {"name": "gpt", "batch_size": 4, "options": options}
    data["arms"][0]["optimizers"] = [{**ADAMW, **(optimizer or {})}]
    return StudySpec.model_validate_json(json.dumps(data))


def test_epsilon_is_no_reason_where_gradients_keep_their_size() -> None:
    """Those of u-µP are of unit size at every width (facts 1)."""
    data = json.loads(canonical_json(gpt(optimizer={"options": {"epsilon": 1e-8}})))
    data["parametrizations"] = [{"name": "u_mup"}]
    study = StudySpec.model_validate_json(json.dumps(data))
    assert "fixed_epsilon" not in keys(joined(study, passes=True, drift=-0.6))


def test_what_acts_over_many_steps_is_a_reason_of_a_transformer() -> None:
    assert keys(joined(gpt(), passes=True, drift=-0.6)) == []
    gains = joined(gpt(model={"norm_gains": "vector"}), passes=True, drift=-0.6)
    assert keys(gains) == ["trainable_gains"]
    growing = joined(
        gpt(model={"heads": 4, "attention_scale": "1/sqrt(d)"}), passes=True, drift=-0.6
    )
    assert keys(growing) == ["attention_scale"]


@pytest.mark.parametrize(("precision", "is_one"), [("fp8", True), ("bfloat16", False)])
def test_a_precision_is_a_reason_where_small_numbers_underflow(
    precision: str, *, is_one: bool
) -> None:
    """bfloat16 has the range of float32 (facts 6)."""
    found = joined(gpt(model={"precision": precision}), passes=True, drift=-0.6)
    assert ("precision" in keys(found)) is is_one


def test_over_batch_size_what_is_known_of_widths_is_no_reason() -> None:
    data = json.loads(canonical_json(gpt(model={"norm_gains": "vector"})))
    data |= {"widths": [256], "batch_sizes": [4, 8, 16]}
    del data["check"], data["base_width"]
    study = StudySpec.model_validate_json(json.dumps(data))
    losses = [
        Trial(
            run.variant.key,
            run.width,
            run.depth,
            run.octave,
            run.seed,
            (run.octave - 0.5 * math.log2((run.batch_size or 0) / 8) - 0.01 * run.seed) ** 2,
            batch_size=run.batch_size,
        )
        for run in plan.runs(study)
    ]
    (found,) = join(study, [], judge(study, losses, runs_judged={}, final=True))
    assert found.outcome is Outcome.DRIFTS
    assert found.is_harmless
    assert keys(found) == ["expected_drift"]
    assert found.advice == "", "a coordinate check says nothing of batches"


def test_decay_is_a_reason_only_where_its_product_with_the_rate_changes() -> None:
    """µP here scales decay as 1 / rate; the rules of MiniCPM leave it alone."""
    decay: dict[str, object] = {"options": {"weight_decay": 0.1}}
    kept = joined(gpt(optimizer=decay), passes=True, drift=-0.6)
    data = json.loads(canonical_json(gpt(optimizer=decay)))
    data["parametrizations"] = [{"name": "minicpm"}]
    fades = joined(StudySpec.model_validate_json(json.dumps(data)), passes=True, drift=-0.6)
    assert ("coupled_decay" in keys(kept), "coupled_decay" in keys(fades)) == (False, True)
    (reason,) = (one for one in fades.reasons if one.key == "coupled_decay")
    assert "0.25 times" in reason.evidence


@pytest.mark.parametrize("cliff", [9.0, 0.5])
def test_an_interval_that_is_too_wide_says_how_many_seeds_and_where_the_grid_is_to_blame(
    cliff: float,
) -> None:
    study = spec(octaves=(-2.0, -1.0, 0.0, 1.0, 2.0), seeds=3)
    known = [
        one._replace(
            loss=math.inf
            if one.octave > cliff
            else (one.octave - 0.4 * (one.seed - 1) * (math.log2(one.width) - 9)) ** 2
        )
        for one in trials(study.sweep or study, drift=0.0)
    ]
    swept = judge(study.sweep or study, known, runs_judged={}, final=True)
    (found,) = join(study, [checked(study, passes=True)], swept)
    (reason,) = (one for one in found.reasons if one.key == "wide_interval")
    if cliff > 2:
        # of slopes with a deviation of 0.4, t(n - 1) 0.4 / sqrt(n) <= 0.125
        n = next(n for n in range(2, 99) if stdtrit(n - 1, 0.95) * 0.4 / math.sqrt(n) <= 0.125)
        assert reason.advice == f"take about {n} seeds in all"
    else:
        assert "rates half an octave apart: beside rates that diverge" in reason.advice


def test_a_check_far_from_the_best_rate_says_little() -> None:
    """The vertex stands two and a half octaves above the rate of the check."""
    study = spec(octaves=(-1.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0))
    known = [
        one._replace(loss=(one.octave - 3) ** 2 + 0.1 * one.seed * one.octave)
        for one in trials(study.sweep or study, drift=0.0)
    ]
    swept = judge(study.sweep or study, known, runs_judged={}, final=True)
    swept = tuple(one.model_copy(update={"verdict": type(one.verdict)("drifts")}) for one in swept)
    (found,) = join(study, [checked(study, passes=True)], swept)
    assert "checked_elsewhere" in keys(found)


def test_a_sweep_alone_is_told_its_reasons_and_to_check() -> None:
    study = sweep(widths=(128, 256, 512), steps=5_000)
    swept = judge(study, trials(study, drift=-0.6), runs_judged={}, final=True)
    (found,) = join(study, [], swept)
    assert found.outcome is Outcome.DRIFTS
    assert keys(found) == ["narrow_proxy"]
    assert "add a coordinate check" in found.advice
