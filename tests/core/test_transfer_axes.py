"""Learning rates over other axes than width: the same law, the same words, the same honesty."""

import math
from collections.abc import Iterator

import pytest
from pydantic import ValidationError
from rich.console import Console

from muscope import costs, plan
from muscope.catalogue import OPTIMIZERS, Options
from muscope.cli import rate_view
from muscope.plots import lr_transfer, optima
from muscope.reports import rate_table
from muscope.spec import (
    Arm,
    ModelSpec,
    OptimizerSpec,
    ParametrizationSpec,
    StudySpec,
    canonical_json,
)
from muscope.theory.drifts import expected_drift
from muscope.verdicts.transfer.judge import judge
from muscope.verdicts.transfer.losses import Trial, of_run
from muscope.verdicts.transfer.places import FIELDS
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.transfer.words import doubling
from muscope.vocabulary import Axis, TransferVerdict

GRIDS = {
    Axis.WIDTH: {"widths": (32, 64, 128)},
    Axis.DEPTH: {"depths": (2, 4, 8)},
    Axis.BATCH: {"batch_sizes": (4, 8, 16)},
    Axis.SEQUENCE: {"sequence_lengths": (16, 32, 64)},
    Axis.STEPS: {"step_counts": (100, 200, 400)},
}
AXES = pytest.mark.parametrize("axis", GRIDS)


def study(axis: Axis, *, parametrization: str = "mup", **changes: object) -> StudySpec:
    """A GPT at three places of an axis, the same in all else."""
    model = ModelSpec(name="gpt", batch_size=8, options={"head_size": 16})
    fields: dict[str, object] = {
        "name": "transfer",
        "kind": "lr_transfer",
        "arms": (Arm(model=model, optimizers=(OptimizerSpec(name="adamw", learning_rate=2**-6),)),),
        "parametrizations": (ParametrizationSpec(name=parametrization),),
        "widths": (64,),
        "octaves": tuple(half / 2 for half in range(-6, 7)),
        "seeds": 3,
        "held_out": 2,
        **GRIDS[axis],
    }
    return StudySpec.model_validate(fields | changes)


def trials(spec: StudySpec, axis: Axis, drift: float, *, rise: float = 0.0) -> Iterator[Trial]:
    """Parabolas whose vertex moves along an axis, and whose least loss rises by doublings."""
    for run in plan.runs(spec):
        doublings = math.log2(getattr(run, FIELDS[axis]) / next(iter(GRIDS[axis].values()))[1])
        away = run.octave - drift * doublings - 0.02 * run.seed
        loss = 2 + away**2 + rise * doublings
        yield of_run(run, loss, start=9.0, train_loss=loss + 0.5)


def judged(spec: StudySpec, found: Iterator[Trial]) -> TransferJudgement:
    (verdict,) = judge(spec, found, runs_judged={}, final=True)
    return verdict


@AXES
@pytest.mark.parametrize(
    ("drift", "word"),
    [(0.0, TransferVerdict.TRANSFERS), (-0.6, TransferVerdict.DRIFTS)],
)
def test_an_optimum_that_moves_along_an_axis_drifts_by_octaves_per_doubling_of_it(
    axis: Axis, drift: float, word: TransferVerdict
) -> None:
    spec = study(axis)
    found = judged(spec, trials(spec, axis, drift))
    (along,) = found.drifts
    assert (found.axis, along.axis, found.verdict) == (axis, axis, word)
    assert along.slope == pytest.approx(drift, abs=0.01)  # parabolas: the vertex is exact
    assert found.sentence().endswith(f"octaves per {doubling(axis)}")
    assert [one.on(axis) for one in found.optima] == list(along.values)


@AXES
def test_a_best_rate_at_the_end_of_the_grid_is_no_optimum_anywhere(axis: Axis) -> None:
    spec = study(axis)
    found = judged(spec, trials(spec, axis, -4.0))
    assert found.verdict is TransferVerdict.NOT_BRACKETED
    ends = [one for one in found.optima if not one.is_bracketed]
    assert ends
    assert {one.best for one in ends} <= {spec.octaves[0], spec.octaves[-1]}
    words = _printed(found)
    assert words.count("not bracketed:") == 1
    assert "no optimum at" in optima.summary(found)
    drawn = [trace for trace in optima.figure(found)["data"] if trace["mode"] == "markers"]
    assert len(drawn[0]["x"]) == len(found.optima) - len(ends)


def test_of_larger_batches_and_longer_sequences_more_loss_is_no_fault() -> None:
    told = {
        axis: judged(study(axis), trials(study(axis), axis, 0.0, rise=0.1)).drifts[0]
        for axis in GRIDS
    }
    worse = {axis for axis, drift in told.items() if drift.worse_when_wider}
    assert worse == {Axis.WIDTH, Axis.DEPTH, Axis.STEPS}


@pytest.mark.parametrize(
    ("axis", "parametrization", "expected"),
    [
        (Axis.WIDTH, "sp", -1.0),
        (Axis.WIDTH, "mup", 0.0),
        (Axis.WIDTH, "ntk", None),
        (Axis.DEPTH, "complete_p", 0.0),
        (Axis.DEPTH, "depth_mup", None),  # branches of two matrices (facts 2.10)
        (Axis.DEPTH, "mup", None),
        (Axis.BATCH, "mup", 0.5),
        (Axis.SEQUENCE, "mup", None),
        (Axis.STEPS, "mup", None),
    ],
)
def test_theory_expects_what_the_facts_say_and_nothing_else(
    axis: Axis, parametrization: str, expected: float | None
) -> None:
    spec = study(axis, parametrization=parametrization)
    (drift,) = judged(spec, trials(spec, axis, expected or 0.0)).drifts
    assert drift.expected == expected
    assert drift.as_expected is (None if expected is None else True)


@pytest.mark.parametrize(
    ("parametrization", "options", "optimizer", "expected"),
    [
        ("mean_field", {}, "sgd", 0.0),
        ("mean_field", {"rates": "fixed"}, "sgd", None),  # every change falls as 1/n (facts 2.3)
        ("mup", {"trust_ratio_rate": "full_rank"}, "lamb", None),  # facts 3, note L
        ("mup", {}, "lamb", 0.0),
        ("cerebras", {"decoder_attention": 0.5}, "adamw", None),  # one rate at every width
        ("minicpm", {}, "adamw", 0.0),
        ("everett", {"form": "mean_field"}, "adamw", 0.0),  # µP in other numbers (facts 2.3)
        ("sp", {}, "sgd", None),
    ],
)
def test_a_rate_is_expected_to_stay_under_every_rule_that_is_mup_s_and_no_other(
    parametrization: str, options: Options, optimizer: str, expected: float | None
) -> None:
    chosen = ParametrizationSpec(name=parametrization, options=options)
    family = OPTIMIZERS[optimizer].family
    found = expected_drift(Axis.WIDTH, parametrization, family, chosen.complete)
    assert (found.slope if found else None) == expected


@AXES
def test_a_drift_over_what_no_rule_keeps_the_rate_is_no_fault(axis: Axis) -> None:
    spec = study(axis)
    assert not judged(spec, trials(spec, axis, 0.0)).is_harmless
    found = judged(spec, trials(spec, axis, -0.6))
    assert found.is_harmless is (axis in (Axis.BATCH, Axis.SEQUENCE, Axis.STEPS))
    assert ("\x1b[1;31mdrifts" in _printed(found)) is not found.is_harmless


def test_each_other_place_has_its_drift_and_what_lies_across_decides_nothing() -> None:
    spec = study(Axis.WIDTH, depths=(2, 4, 8))
    found = judged(spec, trials(spec, Axis.DEPTH, -0.6))
    assert found.verdict is TransferVerdict.TRANSFERS
    assert [drift.depth for drift in found.drifts] == [2, 4, 8]
    assert [drift.width for drift in found.across] == [32, 64, 128]
    assert {drift.verdict for drift in found.across} == {TransferVerdict.DRIFTS}
    told = rate_table.drifts(found)
    assert told[0].startswith("Depth 2: 0.00 octaves")
    assert told[-1].startswith("Over depth at width 128: −0.60 octaves")
    panels = [note["text"] for note in lr_transfer.figure(found)["layout"]["annotations"]]
    assert panels == ["depth 2", "depth 4", "depth 8"]
    over = optima.figure(found, Axis.DEPTH)["layout"]
    assert [note["text"] for note in over["annotations"]] == ["width 32", "width 64", "width 128"]


def test_every_option_of_a_model_and_optimizer_is_a_variant_with_its_own_optimum() -> None:
    gated = ModelSpec(name="gpt", batch_size=8, options={"head_size": 16, "biases": True})
    spec = study(Axis.STEPS)
    arms = (*spec.arms, Arm(model=gated, optimizers=spec.arms[0].optimizers))
    both = study(Axis.STEPS, arms=arms)
    found = judge(both, trials(both, Axis.STEPS, 0.0), runs_judged={}, final=True)
    assert len({one.label for one in found}) == 2
    assert {len(one.optima) for one in found} == {3}


@AXES
def test_a_diverged_cell_is_named_and_the_best_is_bold_in_the_terminal(axis: Axis) -> None:
    spec = study(axis)
    found = judged(
        spec,
        (
            one._replace(loss=math.inf if one.octave == 3 else one.loss)
            for one in trials(spec, axis, 0.0)
        ),
    )
    text = _printed(found)
    assert text.count("3 of 3 diverged") == len(found.optima)
    assert text.count("2.0007\x1b[0m") == len(found.optima)  # the mean over three seeds


def test_both_losses_are_told_and_that_on_held_out_data_decides() -> None:
    spec = study(Axis.WIDTH)
    found = judged(spec, trials(spec, Axis.WIDTH, 0.0))
    assert found.judged_on == "held_out"
    best = next(cell for cell in found.optima[0].cells if cell.octave == found.optima[0].best)
    assert best.train_loss == pytest.approx((best.loss or 0) + 0.5)
    table = rate_table.losses(found)
    assert table.rows[0].losses[6].training == f"{best.train_loss:.4f}"
    assert "held-out" in table.judged_on
    printed = _printed(found)
    assert f"below it {table.below}" in printed
    assert f"{best.train_loss:.4f}" in printed


def test_a_judgement_that_is_older_than_the_other_axes_is_read() -> None:
    spec = study(Axis.WIDTH)
    new = judged(spec, trials(spec, Axis.WIDTH, 0.0)).model_dump(mode="json")
    for name in ("axis", "across", "judged_on"):
        del new[name]
    for name in ("axis", "values", "width", "batch_size", "sequence_length", "steps", "expected"):
        del new["drifts"][0][name]
    old = TransferJudgement.model_validate(new)
    assert (old.axis, old.judged_on) == (Axis.WIDTH, None)
    assert rate_table.drifts(old)[0].startswith("Depth 2: 0.00")
    assert len(optima.figure(old)["data"]) > 0


@AXES
def test_runs_of_another_place_are_other_runs_in_other_bundles(axis: Axis) -> None:
    spec = study(axis)
    assert StudySpec.model_validate_json(canonical_json(spec)) == spec
    shapes = [
        {getattr(run, FIELDS[axis]) for run in bundle.runs} for bundle in plan.plan(spec).bundles
    ]
    assert [next(iter(shape)) for shape in shapes] == list(next(iter(GRIDS[axis].values())))
    assert all(len(shape) == 1 for shape in shapes)
    first, *_, last = (bundle.runs[0] for bundle in plan.plan(spec).bundles)
    assert costs.flops(last) > costs.flops(first)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"widths": (64,)}, "lr_transfer needs several values of one of widths, depths"),
        ({"step_counts": (100, 200), "steps": 100}, "steps is the largest of step_counts, 200"),
        ({"sequence_lengths": (16, 16)}, "the value 16 is there twice"),
        ({"sequence_lengths": (1, 16)}, "greater than or equal to 2"),
        ({"check": {"seeds": 2}, "depths": (2, 4)}, "check needs at least 2 widths"),
        ({"depths": (2, 4), "extend_octaves": 17}, "less than or equal to 16"),
        ({"depths": (2, 4), "octaves": (-39.0, -38.0, 0.0), "extend_octaves": 4}, "at most 40"),
    ],
)
def test_what_cannot_answer_is_refused_with_the_reason(
    changes: dict[str, object], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        study(Axis.WIDTH, **({"widths": (64,)} | changes))


def test_sequences_are_of_models_that_have_them() -> None:
    arms = (
        Arm(
            model=ModelSpec(name="mlp", batch_size=8),
            optimizers=(OptimizerSpec(name="adamw", learning_rate=2**-6),),
        ),
    )
    with pytest.raises(ValidationError, match="'mlp' has no sequences; leave sequence_lengths out"):
        study(Axis.SEQUENCE, arms=arms)


def test_the_shortest_run_has_to_hold_its_schedule() -> None:
    warm = OptimizerSpec(name="adamw", learning_rate=0.01, options={"warmup_steps": 150})
    arms = (Arm(model=study(Axis.STEPS).arms[0].model, optimizers=(warm,)),)
    with pytest.raises(ValidationError, match="warmup"):
        study(Axis.STEPS, arms=arms)


def _printed(found: TransferJudgement) -> str:
    console = Console(width=120, force_terminal=True, color_system="standard", highlight=False)
    with console.capture() as capture:
        console.print(rate_view.table(found))
    return capture.get()
