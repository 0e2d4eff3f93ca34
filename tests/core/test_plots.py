"""The coordinate check as a picture: first what it shows, then how."""

import json
import math
from typing import Any

import pytest

from muscope.plots import coordinate_check, drawing
from muscope.records import Sample, Values
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.vocabulary import Axis, Role, Statistic, TensorKind

WIDTHS = (64, 128, 256)
SPEC = StudySpec(
    name="x",
    arms=(
        Arm(
            model=ModelSpec(name="mlp", batch_size=8),
            optimizers=(OptimizerSpec(name="sgd", learning_rate=0.1),),
        ),
    ),
    parametrizations=(ParametrizationSpec(name="sp"),),
    widths=WIDTHS,
    seeds=2,
    steps=1,
)


def sample(width: int, seed: int, value: float, **changes: object) -> Sample:
    """One measurement; `changes` replace its coordinates."""
    fields: dict[str, object] = {
        "variant": SPEC.variants[0].key, "width": width, "depth": 2, "seed": seed, "step": 0,
        "tensor": "hidden.0", "role": Role.HIDDEN, "kind": TensorKind.ACTIVATION,
        "values": Values(value, 2 * value, None),
    }  # fmt: skip
    return Sample(**(fields | changes))  # type: ignore[arg-type]


def info(samples: list[Sample], **options: Any) -> coordinate_check.CoordinateCheckInfo:
    return coordinate_check.info(samples, None, Statistic.L1, spec=SPEC, title="MLP", **options)


def test_a_point_is_the_mean_over_seeds_and_the_band_their_range() -> None:
    (line,) = info([sample(64, 0, 1.0), sample(64, 1, 3.0)]).lines
    (point,) = line.points
    assert (point.mean, point.low, point.high, point.seeds) == (2.0, 1.0, 3.0, 2)


def test_there_is_one_panel_per_step_and_depth_and_one_line_per_tensor() -> None:
    grid = [
        sample(width, 0, 1.0, step=step, depth=depth, tensor=tensor)
        for width in WIDTHS
        for step in (0, 1)
        for depth in (2, 4)
        for tensor in ("input", "readout")
    ]
    panels = info(grid).panels
    assert [(p.depth, p.step) for p in panels] == [(2, 0), (2, 1), (4, 0), (4, 1)]
    assert all(len(panel.lines) == 2 for panel in panels)


def test_a_long_study_shows_its_first_and_last_step_and_says_what_is_left_out() -> None:
    found = info([sample(64, 0, 1.0, step=step) for step in range(101)])
    steps = [panel.step for panel in found.panels]
    assert len(steps) == coordinate_check.MAX_PANELS
    assert (steps[0], steps[-1]) == (0, 100)
    assert "of 101 recorded ones" in coordinate_check.summary(found)


def test_a_value_that_is_not_finite_is_a_gap_that_is_named() -> None:
    found = info([sample(64, 0, 1.0), sample(128, 0, math.inf), sample(128, 1, 1.0)])
    drawn = drawing.figure(found)
    assert "Not finite, so with gaps: hidden.0." in coordinate_check.summary(found)
    assert drawn["data"][1]["y"] == [1.0, None, None]
    json.dumps(drawn, allow_nan=False)


def test_the_caption_names_the_widths_that_have_points_not_those_that_were_planned() -> None:
    some = [sample(64, 0, 1.0), sample(128, 0, 1.0)]
    assert "at 2 of 3 widths (64, 128)," in coordinate_check.summary(info(some))
    every = [*some, sample(256, 0, 1.0)]
    assert "at 3 widths from 64 to 256," in coordinate_check.summary(info(every))


@pytest.mark.parametrize(
    ("slope", "written"), [(-0.449, "−0.45"), (1.0, "+1.00"), (-0.001, "0.00"), (0.0, "0.00")]
)
def test_an_exponent_has_a_true_minus_and_zero_has_no_sign(slope: float, written: str) -> None:
    assert coordinate_check.exponent(slope) == written


def test_a_study_that_is_over_does_not_say_yet() -> None:
    assert coordinate_check.summary(info([])) == "Nothing measured yet."
    assert coordinate_check.summary(info([], is_over=True)) == "Nothing was measured."


def test_exact_zeros_cannot_be_drawn_on_a_log_axis_and_are_counted() -> None:
    found = info([sample(width, 0, 0.0) for width in WIDTHS])
    assert "1 tensor exactly zero in some step" in coordinate_check.summary(found)
    json.dumps(drawing.figure(found), allow_nan=False)


@pytest.mark.parametrize("values", [[], [1e-300, 1e300], [5e-324], [1.0]])
def test_any_size_of_numbers_gives_a_figure_with_few_ticks(values: list[float]) -> None:
    found = info([sample(64, seed, value) for seed, value in enumerate(values)])
    drawn = drawing.figure(found)
    assert len(drawn["layout"].get("yaxis", {}).get("tickvals", [])) <= 11
    json.dumps(drawn, allow_nan=False)


def test_names_are_escaped_against_the_markup_of_plotly() -> None:
    evil = '<a href="https://evil">x</a>'
    drawn = drawing.figure(info([sample(64, 0, 1.0, tensor=evil)]))
    assert "<a" not in json.dumps(drawn["data"])


def test_widths_are_powers_of_two_on_a_log_axis_and_every_panel_has_the_same_range() -> None:
    grid = [sample(width, 0, 1.0 + step, step=step) for width in WIDTHS for step in (0, 1)]
    layout = drawing.figure(info(grid))["layout"]
    assert layout["xaxis"]["type"] == layout["yaxis"]["type"] == "log"
    assert layout["xaxis"]["tickvals"] == list(WIDTHS)
    assert layout["yaxis"]["range"] == layout["yaxis2"]["range"]


def test_one_tensor_alone_is_drawn_with_the_slope_that_theory_expects() -> None:
    line = coordinate_check.Line(
        tensor="readout",
        role=Role.OUTPUT,
        points=tuple(coordinate_check.Point(w, w / 64, w / 64, w / 64, 2) for w in WIDTHS),
        slope=1.0,
        expected=1.0,
    )
    panel = coordinate_check.Panel(step=1, depth=2, lines=(line,))
    found = coordinate_check.CoordinateCheckInfo("x", Statistic.L1, WIDTHS, 2, (panel,), 1)
    theory = drawing.figure(found)["data"][-1]
    assert theory["line"]["dash"] == "dash"
    assert theory["y"] == pytest.approx([1.0, 2.0, 4.0])


def test_a_tensor_can_be_looked_at_alone() -> None:
    grid = [sample(64, 0, 1.0, tensor=name) for name in ("input", "readout")]
    assert [line.tensor for line in info(grid, tensor="readout").lines] == ["readout"]


def deep(*, depths: tuple[int, ...] = (2, 4, 8)) -> list[Sample]:
    """A stream that grows as depth, by as many blocks as there are, and a readout that does not."""
    return [
        sample(width, seed, value, step=step, depth=depth, tensor=tensor, role=role)
        for width in WIDTHS
        for seed in (0, 1)
        for step in (0, 1, 2)
        for depth in depths
        for tensor, role, value in (
            *((f"blocks.{n}.residual", Role.RESIDUAL, float(n + 1)) for n in range(depth)),
            ("readout", Role.OUTPUT, 1.0),
        )
    ]


def test_over_depth_the_last_block_is_compared_with_the_last_at_every_width_and_step() -> None:
    found = info(deep(), axis=Axis.DEPTH)
    assert found.places == (2, 4, 8)
    places = [(panel.width, panel.step) for panel in found.panels]
    assert places == [(width, step) for width in WIDTHS for step in (0, 1, 2)]
    assert {line.tensor for line in found.lines} == {"blocks.last.residual", "readout"}
    for line in found.lines:
        grows = line.tensor == "blocks.last.residual"
        drawn = [(point.at, point.mean) for point in line.points]
        assert drawn == [(depth, float(depth) if grows else 1.0) for depth in (2, 4, 8)]
    assert "at 3 depths from 2 to 8, 2 seeds; steps 0, 1, 2." in coordinate_check.summary(found)
    layout = drawing.figure(found)["layout"]
    assert layout["xaxis"]["title"]["text"] == layout["meta"]["xTitle"] == "depth"
    assert layout["annotations"][0]["text"] == "step 0, width 64"
    (last,) = {line.tensor for line in info(deep(), axis=Axis.DEPTH, tensor="readout").lines}
    assert last == "readout"


def test_over_steps_there_is_a_panel_for_every_width_and_the_first_forward_is_left_out() -> None:
    grid = [sample(w, 0, 2.0**step, step=step) for w in WIDTHS for step in range(5)]
    found = info(grid, axis=Axis.STEP)
    assert [(panel.width, panel.step) for panel in found.panels] == [(w, None) for w in WIDTHS]
    assert {point.at for line in found.lines for point in line.points} == {1, 2, 3, 4}
    assert found.words(found.panels[0]) == "width 64"


def test_of_many_places_on_the_axis_the_powers_of_two_have_ticks() -> None:
    grid = [sample(64, 0, 1.0, step=step) for step in range(101)]
    layout = drawing.figure(info(grid, axis=Axis.STEP))["layout"]
    assert layout["xaxis"]["tickvals"] == [1, 2, 4, 8, 16, 32, 64]


def test_over_the_batch_size_every_width_and_step_has_a_panel() -> None:
    grid = [sample(w, 0, b**-0.5, batch_size=b) for w in WIDTHS for b in (4, 16)]
    found = info(grid, axis=Axis.BATCH)
    assert [(panel.width, panel.batch_size) for panel in found.panels] == [
        (w, None) for w in WIDTHS
    ]
    assert [point.mean for point in found.panels[0].lines[0].points] == [0.5, 0.25]
    assert "at 2 batch sizes from 4 to 16" in coordinate_check.summary(found)


def test_an_axis_of_one_place_has_nothing_to_draw_and_says_so() -> None:
    found = info([sample(64, 0, 1.0, depth=2)], axis=Axis.DEPTH, is_over=True)
    assert found.panels == ()
    words = "Measured at depth 2 alone: nothing to draw over depth."
    assert coordinate_check.summary(found) == words
    json.dumps(drawing.figure(found), allow_nan=False)


def test_of_many_widths_that_are_held_the_first_and_the_last_are_drawn_and_it_is_said() -> None:
    widths = [2**power for power in range(4, 12)]
    grid = [sample(w, 0, 1.0, depth=depth) for w in widths for depth in (2, 4)]
    found = info(grid, axis=Axis.DEPTH)
    drawn = [panel.width for panel in found.panels]
    assert len(drawn) == coordinate_check.MAX_HELD
    assert (drawn[0], drawn[-1]) == (16, 2048)
    assert "4 of 8 widths (the CSV holds all)" in coordinate_check.summary(found)


def test_a_line_that_bends_is_named_in_the_caption() -> None:
    points = tuple(coordinate_check.Point(w, 1.0, 1.0, 1.0, 2) for w in WIDTHS)
    line = coordinate_check.Line("readout", Role.OUTPUT, points, 0.0, None, bends=True)
    panel = coordinate_check.Panel(step=1, depth=2, lines=(line,))
    found = coordinate_check.CoordinateCheckInfo("x", Statistic.L1, WIDTHS, 2, (panel,), 1)
    assert "1 line bends: readout at step 1." in coordinate_check.summary(found)
