"""How often a user's model is trained: widths, depths, seeds and steps that may be asked for."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

WIDTHS = (64, 128, 256, 512)
SEEDS, STEPS = 5, 4
MOST_RUNS, LARGEST_SIZE = 10_000, 2**20
MOST_SEEDS, MOST_STEPS = 64, 10_000

Option: TypeAlias = Callable[[str], str]
"""What an argument is called where it was given: `lr`, or `--lr`."""


def refuse(
    widths: Sequence[int], depths: Sequence[int], *, seeds: int, steps: int, option: Option
) -> None:
    """ValueError where no slope can be had of these, or nobody would wait for the end of them."""
    for name, sizes in (("widths", widths), ("depths", depths)):
        if len(set(sizes)) < len(sizes):
            raise ValueError(f"{option(name)}: each number may be there once; got {list(sizes)}")
        _whole(option(name), sizes, LARGEST_SIZE)
    _whole(option("seeds"), [seeds], MOST_SEEDS)
    _whole(option("steps"), [steps], MOST_STEPS)
    if len(widths) < 2:
        got = ", ".join(map(str, widths)) or "none"
        raise ValueError(
            f"{option('widths')} needs two widths at least: one gives no slope; got {got}"
        )
    runs = len(widths) * max(1, len(depths)) * seeds
    if runs > MOST_RUNS:
        raise ValueError(f"the grid has {runs} runs; at most {MOST_RUNS} are allowed")


def _whole(name: str, numbers: Sequence[object], largest: int) -> None:
    for number in numbers:
        is_whole = isinstance(number, int) and not isinstance(number, bool)
        if not is_whole or not 0 < number <= largest:  # type: ignore[operator]  # as just seen
            raise ValueError(f"{name} takes whole numbers from 1 to {largest}; got {number!r}")
