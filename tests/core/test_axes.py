"""Slopes on depth, batch size and step are found as those on width are, and say where they are."""

import csv
import io
import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from muscope import plan
from muscope.catalogue import ActivationEntry
from muscope.plots.coordinate_check import info
from muscope.plots.drawing import figure
from muscope.records import Sample, Values
from muscope.reports.csv import slopes
from muscope.reports.slope_table import slope_table
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, StudySpec
from muscope.verdicts.judge import judge
from muscope.verdicts.types import Cell, VariantVerdict
from muscope.vocabulary import Axis, CellVerdict, Statistic, TensorKind

Law = Callable[[RunSpec, str, int], float]


def study(parametrization: str = "mup", **changes: object) -> StudySpec:
    """A small transformer over widths and depths."""
    spec = StudySpec(
        name="deep",
        arms=(
            Arm(
                model=ModelSpec(name="gpt", batch_size=4),
                optimizers=(OptimizerSpec(name="adamw", learning_rate=3e-3),),
            ),
        ),
        parametrizations=(ParametrizationSpec(name=parametrization),),
        widths=(64, 128, 256),
        depths=(2, 4, 8),
        seeds=3,
        steps=4,
    )
    return spec.model_copy(update=changes)


def judged(spec: StudySpec, law: Law) -> VariantVerdict:
    """The verdict where every size and change follows the law, times what a seed likes."""
    measured = [
        sample(run, entry, step, law(run, entry.name, step) * (1 + run.seed / 8))
        for run in plan.runs(spec)
        for entry in plan.activations(run)
        for step in range(spec.steps + 1)
    ]
    (variant,) = spec.variants
    (verdict,) = judge(spec, measured, runs_judged={variant.key: spec.run_count}, final=True)
    return verdict


def sample(run: RunSpec, entry: ActivationEntry, step: int, value: float) -> Sample:
    return Sample(
        variant=run.variant.key,
        width=run.width,
        depth=run.depth,
        seed=run.seed,
        step=step,
        tensor=entry.name,
        role=entry.role,
        kind=TensorKind.ACTIVATION,
        values=Values(value, value, value if step else None),
        batch_size=run.model.batch_size,
    )


def stream(verdict: VariantVerdict, step: int, statistic: Statistic) -> list[Cell]:
    """The cells on depth of the stream after the last block, a width each."""
    return [
        cell
        for cell in verdict.cells_on(Axis.DEPTH)
        if (cell.tensor, cell.step, cell.statistic) == ("blocks.last.residual", step, statistic)
    ]


def test_a_slope_on_depth_is_found_at_every_width_beside_the_one_on_width() -> None:
    verdict = judged(study(), lambda run, tensor, step: run.width**0.25 * run.depth**0.5)
    on_depth = [cell for cell in verdict.cells_on(Axis.DEPTH) if cell.slope is not None]
    assert {cell.width for cell in on_depth} == {64, 128, 256}
    assert {cell.widths for cell in on_depth} == {(2, 4, 8)}
    assert [cell.slope for cell in on_depth] == pytest.approx([0.5] * len(on_depth))
    assert [cell.slope for cell in verdict.cells] == pytest.approx([0.25] * len(verdict.cells))


def test_blocks_are_compared_by_their_place_the_last_with_the_last() -> None:
    def law(run: RunSpec, tensor: str, step: int) -> float:
        is_last = tensor.startswith(f"blocks.{run.depth - 1}.")
        return float(run.depth) if is_last else 1.0

    cells = judged(study(), law).cells_on(Axis.DEPTH)
    by_name = {cell.tensor: cell.slope for cell in cells}
    last = {name for name in by_name if name.startswith("blocks.last.")}
    assert "blocks.last.attn.q" in last
    assert set(by_name) - last == {"embedding", "readout"}
    assert all(by_name[name] == pytest.approx(1.0 if name in last else 0.0) for name in by_name)


def test_a_hidden_layer_of_another_model_has_its_last_too() -> None:
    arm = Arm(
        model=ModelSpec(name="mlp", batch_size=4),
        optimizers=(OptimizerSpec(name="sgd", learning_rate=0.1),),
    )
    verdict = judged(study(arms=(arm,)), lambda run, tensor, step: 1.0)
    names = {cell.tensor for cell in verdict.cells_on(Axis.DEPTH)}
    assert names == {"input", "hidden.last", "readout"}


def test_under_a_depth_rule_a_stream_that_grows_decides() -> None:
    def law(exponent: float) -> Law:
        return lambda run, tensor, step: run.depth ** (exponent if "residual" in tensor else 0.0)

    flat, grows = (judged(study("depth_mup"), law(exponent)) for exponent in (0.0, 1.0))
    assert (flat.verdict, flat.stable, flat.depth_stable) == (CellVerdict.FLAT, True, True)
    assert (grows.verdict, grows.stable, grows.depth_stable) == (CellVerdict.GROWS, True, False)
    assert grows.as_theory is False
    assert grows.sentence() == "grows with depth in 3 of 3 places"
    assert grows.worst is not None
    assert grows.worst.axis is Axis.DEPTH


def test_without_a_depth_rule_a_stream_grows_as_theory_says_and_decides_nothing() -> None:
    def law(run: RunSpec, tensor: str, step: int) -> float:
        grows = 1.0 if step else 0.5
        return float(run.depth ** (grows if "residual" in tensor else 0.0))

    verdict = judged(study("mup"), law)
    assert (verdict.verdict, verdict.stable, verdict.depth_stable) == (
        CellVerdict.FLAT,
        True,
        False,
    )
    assert verdict.as_theory
    (cell, *_) = stream(verdict, 4, Statistic.CHANGE)
    assert (cell.verdict, cell.expected, cell.as_expected) == (CellVerdict.GROWS, 1.0, True)
    assert cell.exception is not None
    assert "theory" in cell.exception


def test_a_first_change_that_compounds_with_depth_is_too_young_to_be_judged() -> None:
    def law(run: RunSpec, tensor: str, step: int) -> float:
        return run.depth**0.3 if step == 1 and "residual" in tensor else 1.0

    verdict = judged(study("depth_mup"), law)
    assert verdict.verdict is CellVerdict.FLAT
    assert {cell.verdict for cell in stream(verdict, 1, Statistic.CHANGE)} == {CellVerdict.GROWS}


def test_a_slope_on_width_that_depends_on_the_depth_is_told_as_one() -> None:
    def law(interaction: float) -> Law:
        return lambda run, tensor, step: (
            2
            ** (
                0.1 * math.log2(run.width)
                + 0.5 * math.log2(run.depth)
                + interaction * math.log2(run.width) * math.log2(run.depth)
            )
        )

    same, other = (judged(study(), law(interaction)).joint for interaction in (0.0, 0.2))
    assert {one.holds for one in same} == {True}
    assert {one.holds for one in other} == {False}
    assert [one.interaction for one in other] == pytest.approx([0.2] * len(other))
    # around the middle of the grid: log2 of the middle depth is 2
    assert [one.width_slope for one in other] == pytest.approx([0.1 + 0.2 * 2] * len(other))
    assert [one.depth_slope for one in same] == pytest.approx([0.5] * len(same))


def test_slopes_on_steps_start_at_the_first_and_decide_nothing() -> None:
    verdict = judged(study(depths=(2,)), lambda run, tensor, step: max(step, 1) ** 2.0)
    cells = verdict.cells_on(Axis.STEP)
    assert {cell.widths for cell in cells} == {(1, 2, 3, 4)}
    assert [cell.slope for cell in cells] == pytest.approx([2.0] * len(cells))
    assert verdict.verdict is CellVerdict.FLAT
    assert not verdict.cells_on(Axis.DEPTH)
    assert verdict.depth_stable is None


def test_every_batch_size_is_judged_on_width_and_all_of_them_on_the_batch_size() -> None:
    spec = study(depths=(2,), batch_sizes=(4, 16, 64))
    grows = judged(spec, lambda run, tensor, step: 1 + run.width * (run.model.batch_size == 4))
    by_batch = {
        size: {cell.verdict for cell in grows.cells if cell.batch_size == size}
        for size in spec.batch_sizes
    }
    assert by_batch[16] == by_batch[64] == {CellVerdict.FLAT}
    assert CellVerdict.GROWS in by_batch[4]
    falls = judged(spec, lambda run, tensor, step: run.model.batch_size**-0.5)
    cells = falls.cells_on(Axis.BATCH)
    assert {cell.widths for cell in cells} == {(4, 16, 64)}
    assert [cell.slope for cell in cells] == pytest.approx([-0.5] * len(cells))
    assert falls.verdict is CellVerdict.FLAT
    assert {cell.as_expected for cell in cells if cell.step == 0} == {False}


def test_a_study_of_one_batch_size_has_no_axis_of_it() -> None:
    verdict = judged(study(depths=(2,)), lambda run, tensor, step: 1.0)
    assert not verdict.cells_on(Axis.BATCH)
    assert {cell.batch_size for cell in verdict.cells} == {None}


def test_a_verdict_of_before_is_read_as_it_was() -> None:
    verdict = judged(study(depths=(2,)), lambda run, tensor, step: 1.0)
    later = {
        "stable", "depth_stable", "as_theory", "addition", "diagnosis", "further_tensors",
        "further_cells", "joint",
    }  # fmt: skip
    of_cells = {
        "axis", "width", "batch_size", "curvature", "curvature_low", "curvature_high", "bends",
        "legal_low", "legal_high",
    }  # fmt: skip
    old = verdict.model_dump(mode="json", exclude=later)
    for cell in old["cells"]:
        for name in of_cells:
            del cell[name]
    old["tensors"] = []
    read = VariantVerdict.model_validate(old)
    assert read.sentence() == "nothing measured yet"
    assert [cell.slope for cell in read.cells] == [cell.slope for cell in verdict.cells]


def test_a_sample_of_unknown_batch_size_is_judged_where_a_study_has_one() -> None:
    spec = study(depths=(2,))
    (variant,) = spec.variants
    measured = [
        replace(sample(run, plan.activations(run)[-1], 0, 1.0), batch_size=None)
        for run in plan.runs(spec)
    ]
    (verdict,) = judge(spec, measured, runs_judged={variant.key: spec.run_count}, final=True)
    assert {cell.verdict for cell in verdict.cells} == {CellVerdict.FLAT}


def test_the_slopes_of_every_axis_are_rows_that_say_theirs() -> None:
    verdict = judged(study(), lambda run, tensor, step: run.depth**0.5)
    rows = list(csv.DictReader(io.StringIO("".join(slopes([verdict])))))
    assert len(rows) == len(verdict.cells) + len(verdict.further_cells)
    assert {row["axis"] for row in rows} == {"width", "depth", "step"}
    of_depth = [row for row in rows if row["axis"] == "depth" and row["slope"]]
    assert {row["places"] for row in of_depth} == {"2 4 8"}
    assert {row["width"] for row in of_depth} == {"64", "128", "256"}
    assert {round(float(row["slope"]), 6) for row in of_depth} == {0.5}


def test_a_chart_has_a_panel_for_every_batch_size() -> None:
    spec = study(depths=(2,), batch_sizes=(4, 16))
    measured = [
        sample(run, entry, step, float(run.model.batch_size))
        for run in plan.runs(spec)
        for entry in plan.activations(run)
        for step in range(2)
    ]
    panels = info(measured, None, Statistic.L1, spec=spec).panels
    assert {(panel.batch_size, panel.step) for panel in panels} == {
        (4, 0),
        (16, 0),
        (4, 1),
        (16, 1),
    }
    means = {panel.batch_size: panel.lines[0].points[0].mean for panel in panels}
    assert means == {4: 4.0, 16: 16.0}


def test_a_picture_over_depth_has_the_slopes_and_theory_of_its_cells() -> None:
    spec = study("depth_mup", widths=(64, 128), steps=1)
    measured = [
        sample(run, entry, step, run.depth**0.5 if "residual" in entry.name else 1.0)
        for run in plan.runs(spec)
        for entry in plan.activations(run)
        for step in range(2)
    ]
    (verdict,) = judge(spec, measured, runs_judged={}, final=True)
    found = info(measured, verdict, Statistic.L1, spec=spec, axis=Axis.DEPTH)
    cells = {
        (cell.tensor, cell.width, cell.step): cell
        for cell in verdict.cells_on(Axis.DEPTH)
        if cell.statistic is Statistic.L1
    }
    lines = {(n.tensor, panel.width, panel.step): n for panel in found.panels for n in panel.lines}
    assert lines.keys() == cells.keys()
    for key, line in lines.items():
        cell = cells[key]
        assert (line.slope, line.expected, line.bends) == (cell.slope, cell.expected, cell.bends)
    assert found.with_theory == ["blocks.last.residual"]
    theory = [trace for trace in figure(found)["data"] if trace.get("legendgroup") == "theory"]
    assert len(theory) == sum(line.expected is not None for line in lines.values()) > 0


def test_a_table_over_depth_says_the_width_and_judges_the_stream_alone() -> None:
    verdict = judged(study("depth_mup"), lambda run, tensor, step: 1.0)
    table = slope_table(verdict, Statistic.CHANGE, axis=Axis.DEPTH)
    assert {row.held for row in table.rows} == {"width 64", "width 128", "width 256"}
    judges = {row.tensor for row in table.rows if row.verdict}
    assert judges == {"blocks.last.residual"}
    assert table.deciding == (Statistic.L1, Statistic.CHANGE)
    assert table.columns == ("step 1", "step 2", "step 3", "step 4")


def test_a_table_over_steps_has_one_column_and_judges_nothing() -> None:
    verdict = judged(study(depths=(2,)), lambda run, tensor, step: 1.0)
    table = slope_table(verdict, Statistic.CHANGE, axis=Axis.STEP)
    assert table.columns == ("steps 1 to 4",)
    assert table.deciding == ()
    assert {row.held for row in table.rows} == {"width 64", "width 128", "width 256"}
