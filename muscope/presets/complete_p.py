"""CompleteP: sizes and learning rates across depths (Dey et al. 2025)."""

from collections.abc import Mapping
from dataclasses import replace

from muscope.presets.preset import Preset, Size
from muscope.presets.scale import (
    LAPTOP,
    SMOKE,
    Scale,
    check,
    constant,
    optimizer,
    parametrization,
    tokens,
    transfer,
    transformer,
)
from muscope.spec import StudySpec

CHECK_RATE, RATE = 1e-2, 2.0**-5
CHECK_STEPS = 10
CHECK_SEEDS: Mapping[Size, int] = {"smoke": 2, "laptop": 3, "paper": 5}
DEPTHS: Mapping[Size, tuple[int, ...]] = {
    "smoke": (1, 2),
    "laptop": (2, 4, 8, 16),
    "paper": (2, 4, 8, 16, 32, 64),
}
SCALES: Mapping[Size, Scale] = {
    "smoke": SMOKE,
    "laptop": replace(LAPTOP, widths=(32, 64), seeds=2, octaves=(-2, -1, 0, 1, 2)),
    "paper": Scale(
        widths=(256, 512),
        depths=(2,),
        base_width=256,
        head_size=64,
        sequence_length=1024,
        batch_size=64,
        steps=5_000,
        warmup_steps=500,
        seeds=1,
        octaves=(-3, -2, -1, 0, 1, 2, 3),
        data=tokens("openwebtext.bin", 50_304),
    ),
}
RULES = (
    parametrization("sp"),
    parametrization("mup", {"zero_readout": False}),
    parametrization("complete_p", {"alpha": 0.5}),
    parametrization("complete_p", {"alpha": 1.0}),
)


def studies(size: Size) -> tuple[StudySpec, ...]:
    """A coordinate check across depths, then learning rates across fewer of them."""
    scale = replace(SCALES[size], depths=DEPTHS[size])
    swept = replace(scale, depths=DEPTHS[size][:3]) if size == "laptop" else scale
    checked = replace(scale, steps=CHECK_STEPS if size != "smoke" else 2, seeds=CHECK_SEEDS[size])
    return (
        check(
            f"CompleteP: sizes across depths ({size})",
            checked,
            transformer("gpt", checked),
            [constant("adamw", CHECK_RATE)],
            RULES,
        ),
        transfer(
            f"CompleteP: rates across depths ({size})",
            swept,
            transformer("gpt", swept),
            [optimizer("adamw", RATE, swept)],
            [RULES[1], RULES[3]],
        ),
    )


PRESET = Preset(
    name="complete-p",
    title="CompleteP: transfer across depths",
    question="Do sizes and the best learning rate stay the same when the model gets deeper?",
    source="Dey et al. 2025, CompleteP (arXiv 2505.01618), Table 1; EleutherAI/nanoGPT-mup, branch "
    "completep",
    claim="With alpha = 1 sizes are flat in depth after a few steps and rates transfer across "
    "depths; with alpha = 1/2 sizes are flat throughout; under SP and µP they grow as √L and more.",
    build=studies,
    needs="a GPU, and a file openwebtext.bin of GPT-2's tokens in the datasets folder",
    notes=(
        "printed for the check are depths 2 to 64, 10 steps at a constant 1e-2, base width 256 and "
        "heads of 64 (facts, section 4); sequences, batches, seeds and all of the rates study are "
        "our choice",
        "weight decay 0.1 and clipping at 1.0 are left out, as a coordinate check wants it",
        "a drift of the best rate with depth is not judged: the table shows it depth by depth",
    ),
)
