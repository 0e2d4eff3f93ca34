"""A learning-rate sweep of a small GPT against the loop that everybody writes, side by side.

The same model, data, rates, seeds and steps. The loop trains one model after the other with
PyTorch's modules, its fused attention and AdamW, and keeps the losses; muscope trains them as a
study of learning rates does, and keeps the same.
"""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks import report
from muscope.lab import data, engine
from muscope.lab.environment import device
from muscope.spec import ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, Variant

DEPTH, HEAD, LENGTH, BATCH, STEPS = 2, 16, 64, 16, 40
RATES = tuple(2.0**power for power in range(-11, -3))
SEEDS = 3
MODEL = ModelSpec(
    name="gpt", batch_size=BATCH, options={"head_size": HEAD, "sequence_length": LENGTH}
)


class Block(nn.Module):
    """Attention and feed-forward, pre-norm."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(width, elementwise_affine=False) for _ in range(2))
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The stream after both branches."""
        parts = self.qkv(self.norms[0](x)).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (-1, HEAD)).transpose(1, 2) for part in parts)
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).flatten(-2))
        added: Tensor = self.down(functional.gelu(self.up(self.norms[1](x))))
        return x + added


class Gpt(nn.Module):
    """Byte-level GPT with learned positions."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.token, self.position = nn.Embedding(256, width), nn.Embedding(LENGTH, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(DEPTH)))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.readout = nn.Linear(width, 256, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """The logits of every position."""
        positions = torch.arange(tokens.shape[1], device=tokens.device)
        stream = self.blocks(self.token(tokens) + self.position(positions))
        logits: Tensor = self.readout(self.norm(stream))
        return logits


def run(width: int, rate: float, seed: int) -> RunSpec:
    """One member as muscope trains it."""
    return RunSpec(
        variant=Variant(
            model=MODEL,
            parametrization=ParametrizationSpec(name="sp"),
            optimizer=OptimizerSpec(name="adamw", learning_rate=rate),
        ),
        width=width,
        depth=DEPTH,
        base_width=32,
        base_depth=DEPTH,
        seed=seed,
        steps=STEPS,
        record="losses",
        batches="fresh",
    )


def ours(width: int) -> list[float]:
    """The last losses of all members."""
    members = [run(width, rate, seed) for rate in RATES for seed in range(SEEDS)]
    *_, last = engine.train(members)
    return [entry.train_loss for entry in last.progress]


def loop(width: int) -> list[float]:
    """The same, one model at a time."""
    return [_trained(width, rate, seed) for rate in RATES for seed in range(SEEDS)]


def _trained(width: int, rate: float, seed: int) -> float:
    torch.manual_seed(seed)
    model = Gpt(width).to(device())
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=rate, betas=(0.9, 0.95), weight_decay=0.0, foreach=True
    )
    loss = torch.zeros(())
    for step in range(STEPS):
        inputs, targets = (part.to(device()) for part in data.fresh(MODEL, step=step, seed=seed))
        loss = functional.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        optimizer.step()
    return float(loss.detach())


def seconds(work: Callable[[int], list[float]], width: int) -> float:
    """How long it takes, the device's queue included."""
    started = time.perf_counter()
    assert len(work(width)) == len(RATES) * SEEDS
    return time.perf_counter() - started


def main() -> None:
    """Both in turn; medians and their ratio."""
    options = report.arguments("Seconds of a sweep of 8 rates and 3 seeds.", repeat=3)
    engine.set_threads(0)
    for width in (32, 64, 256):
        pairs = [(seconds(ours, width), seconds(loop, width)) for _ in range(options.repeat)]
        mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
        report.say(
            {
                "width": str(width),
                "muscope": f"{mine:.1f} s",
                "loop": f"{theirs:.1f} s",
                "ratio": f"{theirs / mine:.2f}",
            },
            as_json=options.json,
        )


if __name__ == "__main__":
    main()
