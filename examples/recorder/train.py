"""A training loop of one's own, recorded: one run per width and seed, one study for all of them.

    python examples/recorder/train.py                     # every width here, one after the other
    python examples/recorder/train.py --width 256 --seed 1  # or one run per process or machine

Set MUSCOPE_URL and MUSCOPE_TOKEN, or start `make run` in this folder's checkout first. `--rule sp`
trains with one learning rate for all widths, and is judged *grows*; `--rule mup` is not.
"""

import argparse

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import muscope

WIDTHS = (64, 128, 256, 512)
SEEDS = (0, 1, 2)
BASE = 64
CLASSES = 10


class Net(nn.Module):
    """Two hidden layers; with µP the readout starts at zero and its output is divided by width."""

    def __init__(self, width: int, rule: str) -> None:
        super().__init__()
        self.embed = nn.Linear(32, width)
        self.hidden = nn.Linear(width, width)
        self.readout = nn.Linear(width, CLASSES, bias=False)
        self.scale = BASE / width if rule == "mup" else 1.0
        if rule == "mup":
            nn.init.zeros_(self.readout.weight)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = torch.relu(self.hidden(torch.relu(self.embed(inputs))))
        logits: Tensor = self.readout(hidden) * self.scale
        return logits


def optimizer_of(model: Net, width: int, rule: str) -> torch.optim.Optimizer:
    """Adam; with µP the rate of the hidden matrix falls with width (Yang et al. 2022, Table 8)."""
    rate = 0.01
    hidden = rate * BASE / width if rule == "mup" else rate
    others = [*model.embed.parameters(), model.hidden.bias, model.readout.weight]
    groups = [{"params": others}, {"params": [model.hidden.weight], "lr": hidden}]
    return torch.optim.Adam(groups, lr=rate)


def batch(seed: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(128, 32, generator=generator)
    return inputs, inputs[:, :CLASSES].argmax(dim=1)


def train(width: int, seed: int, rule: str, steps: int) -> str:
    torch.manual_seed(seed)
    model = Net(width, rule)
    optimizer = optimizer_of(model, width, rule)
    fixed_inputs, fixed_targets = batch(0)

    def probe(model: nn.Module) -> Tensor:
        return cross_entropy(model(fixed_inputs), fixed_targets)

    with muscope.Recorder(
        f"my loop, {rule}", width=width, seed=seed, planned_runs=len(WIDTHS) * len(SEEDS)
    ) as recorder:
        recorder.watch(model, probe, build=lambda n: Net(n, rule), optimizer=optimizer)
        for step in range(steps):
            inputs, targets = batch(step)
            loss = cross_entropy(model(inputs), targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            recorder.step(loss)
    return recorder.page


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--width", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--rule", choices=("sp", "mup"), default="sp")
    parser.add_argument("--steps", type=int, default=5)
    given = parser.parse_args()
    for width in [given.width] if given.width else WIDTHS:
        for seed in SEEDS if given.seed is None else [given.seed]:
            page = train(width, seed, given.rule, given.steps)
    print(page)  # noqa: T201


if __name__ == "__main__":
    main()
