"""What a search usually asks for, and how long a study still takes."""

import pytest

from muscope import plan, timing
from muscope.presets import PRESETS
from muscope.spec import StudySpec
from muscope.stages import outlook, remaining
from muscope.stages.remaining import Asked
from muscope.verdicts.transfer.places import place_of
from tests.core.machines import ROUND


def demo(**changes: object) -> StudySpec:
    (spec,) = PRESETS["transfer-demo"].studies("laptop")
    return spec.model_copy(update=changes)


def test_a_search_usually_trains_part_of_its_grid_and_all_of_the_smallest_width() -> None:
    spec = demo()
    found = outlook.likely(spec)
    grid = list(plan.runs(spec))
    assert all(run in grid for run in found)
    assert len(found) < len(grid)
    assert {run.width for run in found} == set(spec.widths)
    smallest = [run for run in grid if run.width == spec.widths[0]]
    assert [run for run in found if run.width == spec.widths[0]] == smallest


def test_without_a_search_all_of_the_grid_is_trained() -> None:
    spec = demo(search="full")
    assert outlook.likely(spec) == tuple(plan.runs(spec))
    assert outlook.likely_plan(spec, plan.plan(spec)) == plan.plan(spec)


def test_where_a_search_has_begun_nothing_is_only_likely() -> None:
    spec = demo()
    begun = {place_of(spec, run) for run in plan.runs(spec) if run.width < 256}
    assert {run.width for run in outlook.likely(spec, begun)} == {256}
    assert outlook.likely(spec, {place_of(spec, run) for run in plan.runs(spec)}) == ()


def test_at_the_start_all_that_is_likely_is_left() -> None:
    spec = demo()
    likely = outlook.likely_plan(spec, plan.plan(spec))
    found = remaining.seconds(spec, [], [ROUND], set())
    assert found == pytest.approx(timing.study_seconds(likely, [ROUND]))


def test_two_machines_take_half_the_time_and_none_cannot_tell() -> None:
    one, two = (remaining.seconds(demo(), [], [ROUND] * count, set()) for count in (1, 2))
    assert one is not None
    assert two == pytest.approx(one / 2)
    assert remaining.seconds(demo(), [], [], set()) is None


def test_what_is_left_shrinks_with_every_step_and_goes_at_the_pace_that_was_measured() -> None:
    spec = demo(search="full")
    small, *others = plan.bundles(plan.runs(spec))
    waiting = [Asked(one.runs[0], len(one.runs)) for one in others]
    planned = timing.seconds(small.runs[0], len(small.runs), ROUND)

    def left(done: float, seconds: float | None = None) -> float:
        first = Asked(small.runs[0], len(small.runs), done, seconds)
        return remaining.seconds(spec, [first, *waiting], [ROUND]) or 0.0

    assert left(0.0) - left(0.5) == pytest.approx(planned / 2)
    assert left(1.0, 2 * planned) == pytest.approx(2 * left(1.0, planned))


def test_when_all_is_done_nothing_is_left() -> None:
    spec = demo(search="full")
    asked = [Asked(one.runs[0], len(one.runs), 1.0) for one in plan.bundles(plan.runs(spec))]
    assert remaining.seconds(spec, asked, [ROUND]) == 0.0
