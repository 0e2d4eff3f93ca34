"""A small GPT as a project has one, in µP, with the wiring that a build checks on every commit.

    muscope check examples/gate/my_gpt.py --fail-on grows,shrinks,diverged
    muscope check examples/gate/my_gpt.py:build_gpt2 --widths 64,128,256 --fail-on grows,shrinks
    pytest examples/gate

`build` follows µP with AdamW (Yang et al. 2022, Table 8), with heads of one size. `build_gpt2` is
the recipe of GPT-2, one std and one learning rate at every width: it fails.
"""

import math
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

VOCABULARY, CONTEXT, HEAD_SIZE, BASE_WIDTH = 128, 64, 32, 64
LEARNING_RATE, WEIGHT_DECAY, STD, EMBEDDING_STD = 3e-3, 0.1, 0.02, 0.5


class Attention(nn.Module):
    """Causal attention with heads of one size; wider models have more of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.heads = width // HEAD_SIZE
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same."""
        parts = self.qkv(x).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.heads, HEAD_SIZE)).transpose(1, 2) for part in parts)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(-2))
        return out


class Block(nn.Module):
    """Attention and a feed-forward network, each behind a norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same."""
        x = x + self.attention(self.norm1(x))
        out: Tensor = x + self.down(functional.gelu(self.up(self.norm2(x))))
        return out


class Gpt(nn.Module):
    """Tokens to logits; `multiplier` scales the logits."""

    def __init__(self, width: int, depth: int, multiplier: float) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Embedding(CONTEXT, width)
        self.blocks = nn.ModuleList(Block(width) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.readout = nn.Linear(width, VOCABULARY, bias=False)
        self.multiplier = multiplier

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, time) -> logits (batch, time, vocabulary)."""
        x = self.tokens(tokens) + self.positions.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits: Tensor = self.readout(self.norm(x)) * self.multiplier
        return logits


def build(width: int, depth: int | None = None) -> tuple[nn.Module, torch.optim.Optimizer]:
    """What grows in both dimensions starts as 1/√width and learns as 1/width."""
    m = width / BASE_WIDTH
    model = Gpt(width, depth or 2, multiplier=1 / m)
    groups = []
    for name, weight in model.named_parameters():
        is_hidden = name.startswith("blocks.") and weight.ndim == 2
        if name in ("tokens.weight", "positions.weight"):
            nn.init.normal_(weight, std=EMBEDDING_STD)
        elif weight.ndim == 2:
            nn.init.normal_(weight, std=STD / math.sqrt(m) if is_hidden else STD)
        groups.append(
            {
                "params": [weight],
                "lr": LEARNING_RATE / m if is_hidden else LEARNING_RATE,
                "weight_decay": WEIGHT_DECAY * m if is_hidden else 0.0,
                "eps": 1e-8 / m,
            }
        )
    return model, torch.optim.AdamW(groups)


def build_gpt2(width: int, depth: int | None = None) -> tuple[nn.Module, torch.optim.Optimizer]:
    """std 0.02, and 0.02/√(2 depth) for what writes to the residual stream, at every width."""
    model = Gpt(width, depth or 2, multiplier=1.0)
    for name, weight in model.named_parameters():
        if weight.ndim == 2:
            writes = name.endswith(("out.weight", "down.weight"))
            nn.init.normal_(weight, std=STD / math.sqrt(2 * len(model.blocks)) if writes else STD)
    return model, torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, eps=1e-8)


def batch(seed: int) -> tuple[Tensor, Tensor]:
    """16 pieces of this file, and the same one letter later; a project takes its own data."""
    letters = torch.tensor([min(ord(x), VOCABULARY - 1) for x in Path(__file__).read_text()])
    random = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(letters) - CONTEXT - 1, (16,), generator=random).tolist()
    pieces = torch.stack([letters[start : start + CONTEXT + 1] for start in starts])
    return pieces[:, :-1], pieces[:, 1:]
