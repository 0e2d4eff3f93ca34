"""Made text whose entropy is known: every token is drawn by the one before it.

Each of V tokens has 1024 slots of successors. How many slots the r-th favourite gets follows
Zipf's law and is the same for every token, so every row of the transition matrix has the same
entropy H, and H is that of the source: no model can have a smaller loss than H on enough of it.
Common tokens are favourites of many, as in text. Only integers are drawn, from a generator that
Python keeps stable, so the text is the same on every machine.
"""

import math
import random
from functools import cache
from itertools import accumulate, pairwise

import numpy as np

from muscope.catalogue import DATASETS
from muscope.lab.data.text import Text

LENGTH = 1_000_000
SLOT_BITS = 10
SLOTS = 1 << SLOT_BITS


@cache
def read() -> Text:
    """A million tokens."""
    successors, draw, token = transitions(), random.Random(1), 0
    tokens = bytearray(LENGTH)
    for place in range(LENGTH):
        token = successors[token][draw.getrandbits(SLOT_BITS)]
        tokens[place] = token
    return Text("the Markov source", np.frombuffer(bytes(tokens), dtype=np.uint8), entropy())


def entropy() -> float:
    """H in nats per token: of 1024 slots, shared out as every token shares them out."""
    return math.log(SLOTS) - sum(count * math.log(count) for count in _shares()) / SLOTS


def transitions() -> list[list[int]]:
    """The successors of every token: a token as often as it has slots."""
    draw, vocabulary = random.Random(0), DATASETS["markov"].classes
    rows = []
    for _ in range(vocabulary):
        favourites = sorted(range(vocabulary), key=lambda token: (token + 4) * draw.random())
        rows.append(
            [t for t, count in zip(favourites, _shares(), strict=True) for _ in range(count)]
        )
    return rows


@cache
def _shares() -> tuple[int, ...]:
    """Slots of the first favourite, the second and so on: as 1/rank, to whole numbers."""
    vocabulary = DATASETS["markov"].classes
    sums = [0.0, *accumulate(1 / rank for rank in range(1, vocabulary + 1))]
    ends = [round(SLOTS * part / sums[-1]) for part in sums]
    return tuple(end - start for start, end in pairwise(ends))
