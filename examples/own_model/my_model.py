"""A model of your own, as `muscope audit` and `muscope check` take it: a function of the width.

    muscope audit examples/own_model/my_model.py:build
    muscope audit examples/own_model/my_model.py:build_faulty
    muscope check examples/own_model/my_model.py:build
    muscope check examples/own_model/my_model.py:build_faulty

`build` follows µP (Yang et al. 2022, Table 8). `build_faulty` has three mistakes in it.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY = 65
BASE_WIDTH = 64
LEARNING_RATE, WEIGHT_DECAY, STD = 3e-3, 0.1, 0.02


class MyModel(nn.Module):
    """Looks tokens up, adds `depth` blocks to them, reads logits out."""

    def __init__(self, width: int, depth: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.up = nn.ModuleList(nn.Linear(width, 4 * width, bias=False) for _ in range(depth))
        self.down = nn.ModuleList(nn.Linear(4 * width, width, bias=False) for _ in range(depth))
        self.readout = nn.Linear(width, VOCABULARY, bias=False)
        self.m = width / BASE_WIDTH

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, time) -> logits (batch, time, vocabulary)."""
        stream = self.embedding(tokens)
        for up, down in zip(self.up, self.down, strict=True):
            normed = functional.rms_norm(stream, stream.shape[-1:])
            stream = stream + down(functional.gelu(up(normed)))
        normed = functional.rms_norm(stream, stream.shape[-1:])
        logits: Tensor = self.readout(normed) / self.m  # the multiplier of Table 8
        return logits


def build(width: int, depth: int | None = None) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Hidden std as 1/√width; learning rate, decay and epsilon of Table 8 with AdamW."""
    model = MyModel(width, depth or 2)
    m = width / BASE_WIDTH
    groups = []
    for name, weight in model.named_parameters():
        hidden = name.startswith(("up.", "down."))
        nn.init.normal_(weight, std=STD / m**0.5 if hidden else STD)
        groups.append(
            {
                "params": [weight],
                "lr": LEARNING_RATE / m if hidden else LEARNING_RATE,
                "weight_decay": WEIGHT_DECAY * m if hidden else WEIGHT_DECAY,
                "eps": 1e-8 / m,
            }
        )
    return model, torch.optim.AdamW(groups)


def build_faulty(width: int, depth: int | None = None) -> tuple[nn.Module, torch.optim.Optimizer]:
    """std / m where √m belongs, one learning rate for all, and a readout nobody trains."""
    model = MyModel(width, depth or 2)
    m = width / BASE_WIDTH
    for name, weight in model.named_parameters():
        nn.init.normal_(weight, std=STD / m if name.startswith(("up.", "down.")) else STD)
    trained = [weight for name, weight in model.named_parameters() if "readout" not in name]
    return model, torch.optim.AdamW(trained, lr=LEARNING_RATE, eps=1e-8 / m)


def batch(seed: int) -> tuple[Tensor, Tensor]:
    """What `muscope check` trains on: 16 pieces of this file, and the same one letter later."""
    letters = torch.tensor([ord(letter) % VOCABULARY for letter in Path(__file__).read_text()])
    random = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(letters) - 65, (16,), generator=random).tolist()
    pieces = torch.stack([letters[start : start + 65] for start in starts])
    return pieces[:, :-1], pieces[:, 1:]
