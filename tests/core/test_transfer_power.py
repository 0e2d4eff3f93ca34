"""What a grid of learning rates can tell, said before it is trained; weak ones are warned of."""

import json
import math
import random

import pytest

from muscope import plan
from muscope.spec import StudySpec, canonical_json
from muscope.verdicts.transfer import power
from muscope.verdicts.transfer.judge import judge
from muscope.verdicts.transfer.losses import Trial
from muscope.vocabulary import TransferVerdict
from tests.core.test_transfer import spec


def half_width(**changes: object) -> float:
    found = power.of_grid(spec(**changes))
    assert found is not None
    assert found.half_width is not None
    return found.half_width


def test_more_seeds_wider_widths_and_finer_rates_tell_smaller_drifts() -> None:
    plain = half_width()
    assert half_width(seeds=6) < plain
    assert half_width(widths=(32, 64, 512)) < plain
    assert half_width(octaves=(-1.0, -0.5, 0.0, 0.5, 1.0)) < plain
    assert half_width(octaves=(-4.0, -2.0, 0.0, 2.0, 4.0)) > plain


def noisy(study: StudySpec, chance: random.Random, *, drift: float) -> list[Trial]:
    """Parabolas whose vertices scatter over seeds and widths as the power statement assumes."""
    found = power.of_grid(study)
    assert found is not None
    vertex = {
        (width, seed): drift * math.log2(width / 64) + chance.gauss(0, found.scatter)
        for width in study.widths
        for seed in range(study.seeds)
    }
    return [
        Trial(
            run.variant.key,
            run.width,
            run.depth,
            run.octave,
            run.seed,
            2 + (run.octave - vertex[run.width, run.seed]) ** 2,
        )
        for run in plan.runs(study)
    ]


def test_the_judge_finds_the_smallest_drift_half_of_the_time() -> None:
    """The statement is that of the judge: at the drift it names as many are called one as not."""
    study = spec(octaves=tuple(range(-4, 5)), seeds=6)
    found = power.of_grid(study)
    assert found is not None
    assert found.detectable is not None
    chance = random.Random(1)
    drifts = told(study, chance, found.detectable).count(TransferVerdict.DRIFTS)
    # 30 of 60 expected, and three binomial standard deviations of 3.9 to either side
    assert 18 <= drifts <= 42


def told(study: StudySpec, chance: random.Random, drift: float) -> list[TransferVerdict]:
    """The words of sixty studies."""
    return [
        judge(study, noisy(study, chance, drift=drift), runs_judged={}, final=True)[0].verdict
        for _ in range(60)
    ]


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_an_optimum_that_stays_is_told_to_as_often_as_is_said(seeds: int) -> None:
    """Two seeds often happen to agree, so that even they show it now and then."""
    study = spec(octaves=tuple(range(-4, 5)), seeds=seeds)
    found = power.of_grid(study)
    assert found is not None
    assert found.stays is not None
    assert f"and {100 * found.stays:.0f} % that an optimum stays" in found.sentence()
    share = told(study, random.Random(2), 0.0).count(TransferVerdict.TRANSFERS) / 60
    # three binomial standard deviations of at most 0.065
    assert abs(share - found.stays) <= 0.2


def test_what_is_advised_is_enough_and_the_cheapest() -> None:
    study = spec(seeds=2)
    found = power.of_grid(study)
    assert found is not None
    assert found.cost is not None
    assert "seeds in all" in found.sentence()
    seeds = next(n for n in range(2, 17) if half_width(seeds=n) <= power.ENOUGH)
    assert found.cost <= seeds / 2  # more seeds alone


def test_one_seed_and_a_hopeless_grid_are_told_so() -> None:
    one = power.of_grid(spec(seeds=1))
    assert one is not None
    assert one.half_width is None
    assert "one seed gives no interval" in one.sentence()
    assert "and 5 % that an optimum stays" in power.sentence(spec(seeds=2, widths=(32, 64)))


def test_what_no_study_may_have_is_not_advised() -> None:
    """Twice the largest width that there may be, or steps: nothing is trained for the advice."""
    widest = power.of_grid(spec(widths=(32768, 65536)))
    longest = power.of_grid(spec(widths=(64,), step_counts=(50_000, 100_000)))
    assert widest is not None
    assert longest is not None
    assert "width" not in widest.addition
    assert "steps" not in longest.addition


def test_a_coordinate_check_has_no_such_power() -> None:
    data = json.loads(canonical_json(spec()))
    for name in ("kind", "octaves", "record", "batches"):
        data.pop(name, None)
    check = StudySpec.model_validate_json(json.dumps(data))
    assert power.of_grid(check) is None
    assert power.sentence(check) == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"octaves": (-1.0, 0.0, 1.0)}, "3 learning rates: the best one needs"),
        ({"octaves": (-4.0, -2.0, 0.0, 2.0, 4.0)}, "learning rates 2 octaves apart"),
        ({"base_width": 48}, "base width 48 is none of the widths"),
    ],
)
def test_a_weak_grid_is_warned_of_before_it_is_trained(
    changes: dict[str, object], words: str
) -> None:
    healthy = spec(steps=200, octaves=(-3.0, -2.0, -1.0, 0.0, 1.0, 2.0))
    assert not any(words in line for line in plan.plan(healthy).warnings)
    weak = spec(**({"steps": 200} | changes))
    assert any(words in line for line in plan.plan(weak).warnings)


def written(**changes: object) -> StudySpec:
    data = json.loads(canonical_json(spec(steps=200)))
    warmup = changes.pop("warmup_steps", 0)
    data["arms"][0]["optimizers"][0]["options"]["warmup_steps"] = warmup
    return StudySpec.model_validate_json(json.dumps(data | changes))


def test_a_warm_up_that_leaves_no_time_is_warned_of() -> None:
    assert "warm-up takes 30 of 40 steps" in " ".join(
        plan.plan(written(steps=40, warmup_steps=30)).warnings
    )
    assert "warm-up" not in " ".join(plan.plan(written(warmup_steps=30)).warnings)


def test_rates_that_cannot_hold_an_expected_drift_are_warned_of() -> None:
    """Of SP with Adam the best rate falls by an octave per doubling: three, here."""
    wide = {"widths": [32, 64, 256], "parametrizations": [{"name": "sp"}]}
    short = plan.plan(written(**wide)).warnings
    assert any("SP: its best rate is expected to move by 3.0 octaves" in one for one in short)
    enough = plan.plan(written(**wide, octaves=[-5, -4, -3, -2, -1, 0, 1])).warnings
    assert not any("expected to move" in one for one in enough)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"widths": [64], "base_width": 64}, "lr_transfer needs several values of one of widths"),
        ({"octaves": [0, 1]}, "lr_transfer needs at least 3 octaves, got 2"),
        ({"base_width": 256}, "base_width 256 is larger than every width"),
        ({"steps": 20, "warmup_steps": 30}, "warmup_steps 30 is longer than the run of 20 steps"),
    ],
)
def test_a_grid_that_cannot_answer_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        written(**changes)


@pytest.mark.parametrize("extend", [0, 2, 16])
def test_a_grid_that_may_grow_has_the_power_of_the_grid_that_it_has(extend: int) -> None:
    found = power.of_grid(spec(extend_octaves=extend))
    assert found == power.of_grid(spec())
    assert found is not None
    assert found.addition
