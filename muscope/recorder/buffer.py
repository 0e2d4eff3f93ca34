"""What was recorded and not yet written: bounded, and quick to add to."""

import json
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from muscope.client import ROWS_AT_ONCE
from muscope.ingest import Loss, TensorLine, as_word
from muscope.recorder.sizes import as_float32
from muscope.vocabulary import Statistic

MOST_WAITING = 100_000
"""Measurements and losses in memory while the disk takes none: some tens of megabytes."""


class Measured(NamedTuple):
    """The statistics of one tensor at one step."""

    step: int
    line: TensorLine
    values: Mapping[Statistic, float]


class Buffer:
    """Filled by the training loop, emptied by the thread that writes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[Measured] = []
        self._losses: list[Loss] = []
        self._taken = (0, 0)
        self._step = 0
        self._seen: set[object] = set()
        self._first: dict[str, Any] = {}
        self.dropped = 0
        self.is_shut = False

    @property
    def is_large(self) -> bool:
        """Whether there is enough for a batch."""
        return len(self._rows) >= ROWS_AT_ONCE

    def add(self, step: int, rows: Sequence[Measured], loss: Loss | None) -> None:
        """Take measurements of a step; ValueError where a step goes back or one comes twice."""
        keys: list[object] = [(row.line.name, row.line.kind) for row in rows]
        if loss is not None:
            keys.append("loss")
        with self._lock:
            if type(step) is not int or step < self._step:
                raise ValueError(
                    f"step must be a whole number and not go back, got {step!r} after {self._step}"
                )
            if step > self._step:
                self._step, self._seen = step, set()
            for key in keys:
                if key in self._seen:
                    raise ValueError(f"{_words(key)} was recorded at step {step} before")
                self._seen.add(key)
            new = len(rows) + (loss is not None)
            if self.is_shut or self._count + new > MOST_WAITING:
                self.dropped += new
                return
            self._rows += rows
            if loss is not None:
                self._losses.append(loss)

    @property
    def _count(self) -> int:
        return len(self._rows) + len(self._losses)

    def first(self, name: str, array: Any) -> Any:
        """The first array of a name, which is this one where there was none."""
        if name not in self._first:
            self._first[name] = as_float32(array) * 1.0  # a copy: the loop may write into its own
        return self._first[name]

    def take(self, seq: int) -> bytes | None:
        """The next batch as it is sent; it stays here until `written`."""
        with self._lock:
            rows, losses = self._rows[:ROWS_AT_ONCE], self._losses[:ROWS_AT_ONCE]
        self._taken = (len(rows), len(losses))
        if not rows and not losses:
            return None
        places: dict[TensorLine, int] = {}
        # as ingest.Batch has it; thousands of models would take the time of the training loop
        batch = {
            "seq": seq,
            "rows": [
                {
                    "step": row.step,
                    "tensor": places.setdefault(row.line, len(places)),
                    "values": {name: as_word(value) for name, value in row.values.items()},
                }
                for row in rows
            ],
            "losses": [loss.model_dump(mode="json") for loss in losses],
        }
        batch["tensors"] = [line.model_dump(mode="json") for line in places]
        return json.dumps(batch, separators=(",", ":"), allow_nan=False).encode()

    def written(self) -> int:
        """Forget what was taken last; how many rows that were."""
        rows, losses = self._taken
        with self._lock:
            del self._rows[:rows], self._losses[:losses]
        return rows

    def shut(self) -> None:
        """Nothing that is recorded from now on can be kept."""
        with self._lock:
            self.is_shut = True
            self.dropped += self._count
            self._rows, self._losses = [], []


def _words(key: object) -> str:
    return f"{key[1]} {key[0]!r}" if isinstance(key, tuple) else "a loss"
