"""MiniCPM: one learning rate for all sizes from 9M to 0.5B, with WSD (Hu et al. 2024)."""

from collections.abc import Mapping
from dataclasses import replace

from muscope.presets import published
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

RATE = 0.01
TUNED = {"base_std": 0.1, "scale_emb": 12.0, "scale_depth": 1.4}
SIZES_FILE = "minicpm_sizes.csv"
DECAY_FRACTION = 0.1

WIDTHS, DEPTHS = (
    tuple(int(row[name]) for row in published.table(SIZES_FILE)) for name in ("width", "depth")
)
SCALES: Mapping[Size, Scale] = {
    "smoke": SMOKE,
    "laptop": replace(LAPTOP, seeds=2, octaves=(-4, -3, -2, -1, 0, 1, 2)),
    "paper": Scale(
        widths=WIDTHS,
        depths=DEPTHS[:1],
        base_width=256,
        head_size=64,
        sequence_length=1024,
        batch_size=256,
        steps=5_000,
        warmup_steps=500,
        seeds=1,
        octaves=(-3, -2, -1, 0, 1, 2),
        data=tokens("c4.bin", 50_257),
    ),
}
DEEP: Mapping[Size, tuple[int, ...]] = {"smoke": (1, 2), "laptop": (2, 4, 8), "paper": DEPTHS}


def studies(size: Size) -> tuple[StudySpec, ...]:
    """All widths at the smallest depth; all depths at the two smallest widths."""
    wide = SCALES[size]
    deep = replace(wide, widths=wide.widths[:2], depths=DEEP[size], seeds=1)
    return (_study("widths", size, wide), _study("depths", size, deep))


def _study(axis: str, size: Size, scale: Scale) -> StudySpec:
    """WSD halves its rate every 5000 steps; of a shorter run four times while it decays."""
    half_life = min(5000.0, DECAY_FRACTION * scale.steps / 4)
    stepped = optimizer(
        "adamw",
        RATE,
        scale,
        {
            "schedule": "wsd_exponential",
            "decay_fraction": DECAY_FRACTION,
            "half_life_steps": half_life,
        },
    )
    return transfer(
        f"MiniCPM across {axis} ({size})",
        scale,
        transformer("llama", scale),
        [stepped],
        [parametrization("minicpm", TUNED)],
    )


PRESET = Preset(
    name="minicpm",
    title="MiniCPM: one rate for all sizes",
    question="Is the best learning rate the same at every width and depth?",
    source="Hu et al. 2024, MiniCPM (arXiv 2404.06395), Tables 6 and 7, Figure 3",
    claim="With the rules of Table 7 the best rate hardly shifts between sizes, and stays at 0.01.",
    build=studies,
    published=SIZES_FILE,
    rate=RATE,
    published_of="minicpm",
    needs="a GPU, and a file c4.bin of tokens in the datasets folder",
    notes=(
        "the published sizes grow in width and depth together; a study crosses its widths and "
        "depths, so all widths are trained at depth 8, and all depths at widths 320 and 512",
        "d_ff is 2.5 d in the paper; a ratio here is whole, 3",
        "the base width 256 is recalled, not printed; sequences, batches, steps, data, rates "
        "beside 0.01 and seeds are our choice; WSD's half-life of 5000 steps is cut to the run",
    ),
)
