"""A run is stopped half-way only where its rate cannot become the best one."""

import math
import random
from collections.abc import Sequence

import pytest

from muscope.records import Measurement, Progress, StepRecord, Values
from muscope.spec import ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, Variant
from muscope.stages.hopeless import Rule, as_taken, hopeless, note, rung
from muscope.verdicts.transfer.losses import Trial, curves, mean_curve
from muscope.verdicts.transfer.optimum import optimum
from muscope.vocabulary import TensorKind

VARIANT = Variant(
    model=ModelSpec(name="mlp", batch_size=8),
    parametrization=ParametrizationSpec(name="mup"),
    optimizer=OptimizerSpec(name="adamw", learning_rate=0.01),
)


def run(octave: float, seed: int = 0) -> RunSpec:
    return RunSpec(
        variant=VARIANT,
        width=32,
        depth=2,
        base_width=32,
        base_depth=2,
        seed=seed,
        steps=100,
        octave=octave,
    )


def half_way(octave: float, steps: int) -> float:
    """A quadratic valley trained so long: the best rate is as one over the steps, the worst case.

    Its optimum lies at octave -log2(steps).
    """
    return (octave + math.log2(steps)) ** 2


def valley(members: Sequence[RunSpec], steps: int) -> list[float]:
    return [half_way(one.octave, steps) for one in members]


def trials(members: Sequence[RunSpec], losses: Sequence[float]) -> list[Trial]:
    return [
        Trial(one.variant.key, one.width, one.depth, one.octave, one.seed, loss)
        for one, loss in zip(members, losses, strict=True)
    ]


def found(members: Sequence[RunSpec], losses: Sequence[float]) -> float | None:
    """The optimum that a study finds: that of the mean over seeds."""
    (seeds,) = curves(trials(members, losses)).values()
    return optimum(mean_curve(seeds))


def without(losses: Sequence[float], stopped: Sequence[int]) -> list[float]:
    """As a study counts them."""
    return [math.inf if place in stopped else loss for place, loss in enumerate(losses)]


def test_what_is_more_than_two_octaves_from_the_one_ahead_is_stopped() -> None:
    members = [run(octave) for octave in (-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 2.5)]
    assert hopeless(members, [6.0, 5.0, 4.0, 3.0, 2.0, 3.0, 4.0, 4.5]) == (0, 1, 7)


def test_on_a_coarse_grid_the_best_one_keeps_its_neighbours() -> None:
    members = [run(4.0 * place) for place in range(-3, 4)]
    assert hopeless(members, [6.0, 5.0, 4.0, 1.0, 4.0, 5.0, 6.0]) == (0, 6)


@pytest.mark.parametrize("spacing", [0.25, 0.5, 1.0, 2.0])
def test_the_best_rate_of_twice_the_steps_is_never_stopped(spacing: float) -> None:
    """Whatever the grid, the optimum is that of the whole one: all around it goes on."""
    members = [run(place * spacing - 12) for place in range(round(16 / spacing))]
    for steps in (50, 75, 100, 400):
        stopped = hopeless(members, valley(members, rung(steps)))
        final = valley(members, steps)
        assert stopped
        assert final.index(min(final)) not in stopped
        assert found(members, without(final, stopped)) == found(members, final)


@pytest.mark.parametrize("noise", [0.0, 0.3, 1.0])
def test_noisy_valleys_keep_their_optimum_within_a_quarter_octave(noise: float) -> None:
    """Steep to the right, flat to the left, three seeds, and the rate falls as one over steps.

    `noise` is the spread of a loss, where an octave from the optimum costs one.
    """
    draw = random.Random(0)
    stops = 0
    for _ in range(200):
        at, fall, left = draw.uniform(-2, 2), draw.uniform(0, 1), draw.uniform(0.2, 1)
        members = [run(place / 2, seed) for place in range(-8, 9) for seed in range(3)]

        def losses(best: float, flat: float = left) -> list[float]:
            apart = (one.octave - best for one in members)  # noqa: B023
            return [(x * x if x > 0 else flat * x * x) + draw.gauss(0, noise) for x in apart]

        stopped = hopeless(members, losses(at + fall))
        final = losses(at)
        whole, kept = found(members, final), found(members, without(final, stopped))
        stops += len(stopped)
        if whole is not None and abs(whole - at) <= 1:  # what noise hides no grid can find
            assert kept is not None
            assert abs(kept - whole) <= 0.25
    assert stops


def test_a_rate_is_stopped_where_every_seed_gives_it_up() -> None:
    members = [run(octave, seed) for seed in (0, 1) for octave in (0.0, 1.0, 3.0, 4.0)]
    assert hopeless(members, [1.0, 2.0, 3.0, 4.0] * 2) == (3, 7)
    assert hopeless(members, [1.0, 2.0, 3.0, 4.0, 4.0, 3.0, 2.0, 1.0]) == ()


def test_what_diverged_is_left_alone_and_no_vote() -> None:
    members = [run(octave, seed) for seed in (0, 1) for octave in (0.0, 2.0, 3.0, 4.0)]
    assert hopeless(members, [1.0, 2.0, 3.0, 4.0, 1.0, 2.0, 3.0, math.inf]) == (3,)
    assert hopeless(members[:4], [math.inf, math.nan, math.inf, 1.0]) == ()


def record(step: int, losses: Sequence[float], *, bad: Sequence[int] = ()) -> StepRecord:
    """What the lab yields; a value of the members in `bad` is infinite."""
    return StepRecord(
        step,
        tuple(
            Measurement(member, "logits", TensorKind.ACTIVATION, Values(l1=math.inf))
            for member in bad
        ),
        tuple(Progress(member, loss) for member, loss in enumerate(losses)),
    )


def test_the_rule_speaks_at_the_rung_about_the_last_losses_before_it() -> None:
    members = [run(octave) for octave in (0.0, 2.0, 3.0, 4.0)]
    rule = Rule(members)
    late = [0.5, 2.0, 3.0, 4.0]
    for step in range(50):
        assert rule(record(step, [9.0, 1.0, 0.5, 0.1] if step < 40 else late)) == ()
    assert rule(record(50, late)) == (3,)
    assert rule(record(51, late[:3])) == ()
    assert rule.stopped == (3,)
    assert [one.steps for one in as_taken(members, rule.stopped)] == [100, 100, 100, 51]
    assert note(members[3]).startswith("stopped early at step 50 of 100: ")


def test_a_run_with_a_value_that_is_not_finite_is_not_stopped() -> None:
    members = [run(octave).model_copy(update={"steps": 2}) for octave in (0.0, 2.0, 3.0, 4.0)]
    for bad, stopped in (((), (3,)), ((3,), ())):
        rule = Rule(members)
        rule(record(0, [1.0, 2.0, 3.0, 4.0], bad=bad))
        assert rule(record(1, [1.0, 2.0, 3.0, 4.0])) == stopped


def test_nobody_is_stopped_before_the_first_update() -> None:
    members = [run(octave).model_copy(update={"steps": 1}) for octave in (0.0, 2.0, 3.0)]
    assert Rule(members)(record(0, [1.0, 2.0, 3.0])) == ()
