"""Schedules are factors with the shapes that their sources print."""

import math

import pytest

from muscope.catalogue import Options, with_defaults
from muscope.catalogue.optimizers import SCHEDULE, schedule_complaint
from muscope.theory import schedules
from muscope.theory.schedules import factor

ENDS = ("linear", "cosine", "wsd_linear", "wsd_sqrt")
"""Those that would reach the final fraction with the update after the last."""


def options(schedule: str, **others: int | float) -> Options:
    return with_defaults({"schedule": schedule, **others}, SCHEDULE)


def factors(schedule: str, steps: int = 100, **others: int | float) -> list[float]:
    chosen = options(schedule, **others)
    return [factor(step, steps, chosen) for step in range(1, steps + 1)]


@pytest.mark.parametrize("schedule", schedules.READS)
def test_a_warmup_rises_in_equal_parts_to_the_full_rate(schedule: str) -> None:
    warmup = factors(schedule, warmup_steps=8)[:9]
    assert warmup[:8] == [part / 8 for part in range(1, 9)]
    assert warmup[8] == 1.0


@pytest.mark.parametrize("schedule", schedules.READS)
def test_after_the_warmup_no_rate_rises_and_none_is_negative(schedule: str) -> None:
    after = factors(schedule, warmup_steps=10)[9:]
    assert after == sorted(after, reverse=True)
    assert all(0 < value <= 1 for value in after)


@pytest.mark.parametrize("schedule", ENDS)
def test_the_end_is_a_fraction_of_the_rate_itself(schedule: str) -> None:
    chosen = options(schedule, final_fraction=0.25)
    assert factor(1_000_001, 1_000_000, chosen) == pytest.approx(0.25, abs=1e-12)
    assert min(factors(schedule, 1000, final_fraction=0.25)) > 0.25


def test_linear_and_cosine_are_half_way_in_the_middle() -> None:
    assert factors("linear")[50] == pytest.approx(0.5)
    assert factors("cosine")[50] == pytest.approx(0.5)
    assert factors("cosine")[25] == pytest.approx((1 + math.sqrt(0.5)) / 2)


def test_wsd_is_stable_until_its_last_part() -> None:
    for schedule in ("wsd_linear", "wsd_sqrt", "wsd_exponential"):
        values = factors(schedule, decay_fraction=0.25, **_half_life(schedule))
        assert values[:76] == [1.0] * 76
        assert values[76] < 1.0


def test_the_three_decays_of_wsd_are_those_of_their_sources() -> None:
    assert factors("wsd_linear", decay_fraction=0.2)[90] == pytest.approx(0.5)
    assert factors("wsd_sqrt", decay_fraction=0.2)[85] == pytest.approx(1 - math.sqrt(0.25))
    halved = factors("wsd_exponential", decay_fraction=0.2, half_life_steps=5.0)
    assert halved[85] == pytest.approx(0.5)
    assert halved[90] == pytest.approx(0.25)


def test_deepseek_falls_to_31_6_percent_at_80_and_to_10_percent_at_90() -> None:
    assert factors("multi_step", 10) == [1.0] * 8 + [0.316, 0.1]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"warmup_steps": 11}, "warmup_steps 11 is longer than the run of 10 steps"),
        (
            {"final_fraction": 0.1},
            "final_fraction does nothing in the schedule 'constant'; linear,",
        ),
        (
            {"schedule": "linear", "decay_fraction": 0.5},
            "decay_fraction does nothing in the schedule 'linear'; wsd_linear,",
        ),
        (
            {"schedule": "wsd_sqrt", "decay_fraction": 0.5, "warmup_steps": 6},
            "warmup_steps 6 and a decay_fraction of 0.5 overlap in a run of 10 steps",
        ),
    ],
)
def test_a_schedule_that_does_not_fit_is_refused_with_a_sentence(
    given: Options, sentence: str
) -> None:
    complaint = schedule_complaint(given, 10)
    assert complaint is not None
    assert complaint.startswith(sentence)


def _half_life(schedule: str) -> dict[str, float]:
    return {"half_life_steps": 5.0} if schedule == "wsd_exponential" else {}
