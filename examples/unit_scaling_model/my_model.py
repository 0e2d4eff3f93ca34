"""A model of the package `unit_scaling` (u-µP), checked as it is.

    pip install unit-scaling
    muscope check examples/unit_scaling_model/my_model.py:build

Its operators carry the scales, its parameters their types, and its AdamW reads them. The check
listens to the modules and to the loss, and knows that u-µP's embedding learns at 1/√width.
"""

from pathlib import Path

import torch
import unit_scaling as uu
from torch import Tensor, nn
from unit_scaling.optim import AdamW

VOCABULARY, HEAD_SIZE = 65, 16
LEARNING_RATE = 2**-4


def build(width: int, depth: int | None = None) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Nothing to initialize: every weight starts at unit scale."""
    model = uu.TransformerDecoder(
        hidden_size=width, vocab_size=VOCABULARY, layers=depth or 2, heads=width // HEAD_SIZE
    )
    return model, AdamW(model.parameters(), lr=LEARNING_RATE)


def loss(model: nn.Module, batch: Tensor) -> Tensor:
    """The package's own: its cross-entropy scales gradients."""
    value: Tensor = model.loss(batch)  # type: ignore[operator]  # the decoder has one
    return value


def batch(seed: int) -> Tensor:
    """16 pieces of this file; the loss is that of the next letter."""
    letters = torch.tensor([ord(letter) % VOCABULARY for letter in Path(__file__).read_text()])
    random = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(letters) - 65, (16,), generator=random).tolist()
    return torch.stack([letters[start : start + 65] for start in starts])
