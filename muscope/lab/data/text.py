"""Text as a row of tokens, cut into windows whose targets are the next tokens."""

import hashlib
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from muscope.catalogue import DatasetUnavailable
from muscope.lab.data.examples import Examples
from muscope.lab.models.model import Batch

Row: TypeAlias = NDArray[np.unsignedinteger[Any]]


@dataclass(frozen=True)
class Text:
    """A row of tokens (tokens,), in memory or on disk; `title` names it in complaints.

    `entropy` is the least loss that can be reached, in nats per token, where it is known.
    """

    title: str
    tokens: Row
    entropy: float | None = None

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the tokens as bytes."""
        return hashlib.sha256(np.ascontiguousarray(self.tokens).data).hexdigest()

    @cached_property
    def largest(self) -> int:
        """The largest token."""
        return int(self.tokens.max())

    def examples(self, length: int, vocabulary: int) -> Examples:
        """Windows of that many tokens; the last tenth of the text is held out."""
        count = len(self.tokens)
        if count <= length:
            raise DatasetUnavailable(
                f"{self.title} has {count} tokens; one window of a sequence_length of {length} "
                f"needs {length + 1}, so take a longer text or a shorter window"
            )
        if self.largest >= vocabulary:
            raise DatasetUnavailable(
                f"{self.title} has a token {self.largest}; a vocabulary of {vocabulary} ends at "
                f"{vocabulary - 1}, so set the option vocabulary to {self.largest + 1} or more"
            )
        training = count - count // 10
        return Examples(
            everything=range(count - length),
            training=range(training - length),
            held_out=range(training, count - length),
            cut=partial(self._cut, length),
        )

    def _cut(self, length: int, starts: Tensor) -> Batch:
        places = starts[:, None] + torch.arange(length + 1)  # (batch, time + 1)
        windows = torch.from_numpy(self.tokens[places.numpy()].astype(np.int64))
        return Batch(windows[:, :-1], windows[:, 1:])


def of_bytes(title: str, text: bytes) -> Text:
    """A text whose tokens are its bytes."""
    return Text(title, np.frombuffer(text, dtype=np.uint8))
