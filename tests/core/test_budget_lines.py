"""What a study takes and took, in words."""

import pytest

from muscope.budget import Budget
from muscope.reports import budget_lines, formats

TAKEN = Budget(warm_up_s=2.0, train_s=12.2, flops=2.4e12, peak_bytes=3 * 2**29)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than 1 s"),
        (4.3, "about 4 s"),
        (9.7, "about 10 s"),
        (38.4, "about 40 s"),
        (91.0, "about 90 s"),
        (150.0, "about 2 min"),
        (5_000.0, "about 83 min"),
        (9_000.0, "about 2 h"),
        (300_000.0, "about 3 days"),
        (1e8, "about 3 years"),
        (1e15, "more than a thousand years"),
    ],
)
def test_an_estimate_has_no_more_digits_than_it_is_worth(seconds: float, words: str) -> None:
    assert formats.about(seconds) == words


def test_shares_of_a_ceiling_that_is_far_away_keep_a_digit() -> None:
    assert [formats.share(value) for value in (0.383, 0.0041, None)] == ["38 %", "0.4 %", "–"]


def test_only_what_is_known_is_said() -> None:
    words = budget_lines.taken(TAKEN)
    assert words == "2.4 T FLOPs, time 14.2 s, peak memory 1.5 GiB"
    full = Budget(2.0, 12.2, 2.4e12, 3 * 2**29, planned_s=20.0, ceiling=1e12, fraction=0.2)
    assert budget_lines.taken(full) == (
        "2.4 T FLOPs, time 14.2 s (planned 20.0 s), peak memory 1.5 GiB, "
        "20 % of the matrix-product ceiling"
    )
