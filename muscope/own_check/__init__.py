"""A coordinate check of a user's own model, here and now: build, look, train, judge.

What is wrong at one width is a sentence; the other widths go on.
"""

from muscope.own_check.memory import limited
from muscope.own_check.preparing import prepare
from muscope.own_check.question import Failure, OwnArrival, OwnQuestion, Prepared, Sized
from muscope.own_check.running import grid, judge, train

__all__ = [
    "Failure",
    "OwnArrival",
    "OwnQuestion",
    "Prepared",
    "Sized",
    "grid",
    "judge",
    "limited",
    "prepare",
    "train",
]
