"""DeepSeek's grids of batch size and learning rate, without µP (DeepSeek-AI 2024, Figure 2).

A budget of C FLOPs, M per token, leaves C / M tokens: larger batches take fewer steps. M counts
72 L d² + 12 L d T, so 8 layers of width 512 on sequences of 512 are 176M, as the published 177M.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from muscope.presets.preset import Preset, Size
from muscope.presets.scale import (
    LAPTOP,
    SMOKE,
    Scale,
    optimizer,
    parametrization,
    tokens,
    transfer,
    transformer,
)
from muscope.spec import StudySpec

FLOPS, FLOPS_PER_TOKEN = 1e17, 177e6
SEQUENCE = 512
TRIED = (-1, 0, 1, 2, 3, 4, 5)
"""Far smaller models train best at larger rates."""
RATE = 0.3118 * FLOPS**-0.1250
"""The published fit at this budget, 2.3e-3; its batch, 0.2920 C^0.3271, is 106k tokens."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Batch sizes that read the same number of examples, and the rest of a study."""

    batch_sizes: tuple[int, ...]
    examples: int
    scale: Scale


GRIDS: Mapping[Size, Grid] = {
    "smoke": Grid((2, 4), 16, SMOKE),
    "laptop": Grid(
        (8, 16, 32),
        3200,
        replace(LAPTOP, widths=(32, 64), seeds=2, octaves=TRIED, search="full"),
    ),
    "paper": Grid(
        (64, 128, 256, 512),
        int(FLOPS / FLOPS_PER_TOKEN / SEQUENCE),
        Scale(
            widths=(256, 512),
            depths=(8,),
            base_width=256,
            head_size=64,
            sequence_length=SEQUENCE,
            batch_size=256,
            steps=1,
            warmup_steps=2_000,
            seeds=1,
            octaves=(-3, -2, -1, 0, 1, 2, 3),
            data=tokens("pretraining.bin", 50_257),
        ),
    ),
}


def studies(size: Size) -> tuple[StudySpec, ...]:
    """One learning-rate study for each batch size, of equal budget."""
    return tuple(_study(size, GRIDS[size], batch_size) for batch_size in GRIDS[size].batch_sizes)


def _study(size: Size, grid: Grid, batch_size: int) -> StudySpec:
    steps = max(1, grid.examples // batch_size)
    scale = grid.scale.at(batch_size, steps)
    return transfer(
        f"DeepSeek: batches of {batch_size} ({size})",
        scale,
        transformer("llama", scale),
        [optimizer("adamw", RATE, scale, {"schedule": "multi_step"})],
        [parametrization("sp")],
    )


PRESET = Preset(
    name="deepseek",
    title="DeepSeek: grids of batch size and learning rate",
    question="How wide is the region of near-optimal batch sizes and learning rates?",
    source="DeepSeek-AI 2024, DeepSeek LLM (arXiv 2401.02954), Section 3.1 and Figure 2",
    claim="The loss is stable over a wide range of batch sizes and rates; near-optimal ones, "
    "within 0.25 % of the least, follow η = 0.3118 C^-0.1250 and B = 0.2920 C^0.3271.",
    build=studies,
    needs="a GPU, and a file pretraining.bin of tokens in the datasets folder",
    notes=(
        "printed are 1e17 FLOPs, 177M FLOPs per token, warm-up of 2000 steps, the multi-step "
        "schedule (31.6 % from 80 %, 10 % from 90 %) and clipping at 1.0, which is missing here; "
        "shape, sequences, vocabulary, grid, data and seeds are our choice",
        "the warm-up is a tenth of a run that is shorter than 20,000 steps",
        "a study needs two widths: the published budget is that of the larger one",
        "the grid at 1e20 FLOPs is not included",
    ),
)
