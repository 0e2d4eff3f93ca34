"""µP for six optimizers, on a GPT and a Llama, with width and with depth (Gupta et al. 2025)."""

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

RATES = {
    "adamw": 2.0**-6,
    "adopt": 2.0**-6,
    "lamb": 2.0**-5,
    "sophia": 2.0**-7,
    "shampoo": 2.0**-5,
    "muon": 2.0**-5,
}
"""Where the grids are centred: our choice."""
SCALES: Mapping[Size, Scale] = {
    "smoke": replace(SMOKE, steps=2),
    "laptop": replace(LAPTOP, steps=60, octaves=(-3, -2, -1, 0, 1, 2), beyond=3),
    "paper": Scale(
        widths=(128, 256, 512, 1024),
        depths=(12,),
        base_width=128,
        head_size=64,
        sequence_length=1024,
        batch_size=64,
        steps=10_000,
        warmup_steps=1_000,
        seeds=3,
        octaves=(-4, -3, -2, -1, 0, 1, 2, 3, 4),
        data=tokens("openwebtext.bin", 50_304),
    ),
}
CHECK_SEEDS: Mapping[Size, int] = {"smoke": 2, "laptop": 3, "paper": 3}
RULE = parametrization("mup", {"zero_readout": False})
DEPTHS: Mapping[Size, tuple[int, ...]] = {
    "smoke": (1, 2),
    "laptop": (2, 4, 8, 16),
    "paper": (4, 8, 16, 32, 64),
}


def studies(size: Size) -> tuple[StudySpec, ...]:
    """Rates across widths on either model, then sizes across depths without and with a rule."""
    scale = SCALES[size]
    steps = 1 if size == "smoke" else 4
    deep = replace(
        scale, widths=scale.widths[:2], depths=DEPTHS[size], steps=steps, seeds=CHECK_SEEDS[size]
    )
    return (
        *(
            transfer(
                f"Optimizers: {name} across widths ({size})",
                scale,
                transformer(name, scale),
                [optimizer(one, rate, scale) for one, rate in RATES.items()],
                [RULE],
            )
            for name in ("gpt", "llama")
        ),
        check(
            f"Optimizers: gpt across depths ({size})",
            deep,
            transformer("gpt", deep),
            [constant(one, rate) for one, rate in RATES.items()],
            [RULE],
        ),
        check(
            f"Optimizers: gpt across depths, scaled by depth ({size})",
            deep,
            transformer("gpt", deep),
            [constant(one, rate) for one, rate in RATES.items() if one != "lamb"],
            [parametrization("complete_p")],
        ),
    )


PRESET = Preset(
    name="optimizers",
    title="µP for six optimizers",
    question="Does µP transfer the learning rate for optimizers other than Adam?",
    source="Gupta, Ngom, Foreman, Vishwanath 2025, Extending µP: Spectral Conditions for Feature "
    "Learning Across Optimizers (arXiv 2602.20937)",
    claim="Learning rates transfer across widths, zero-shot, for AdamW, ADOPT, LAMB, Sophia, "
    "Shampoo and Muon, on NanoGPT and Llama2. Across depths features stabilize, but rates differ, "
    "and ADOPT, LAMB and Shampoo oscillate.",
    build=studies,
    needs="a GPU, and a file openwebtext.bin of GPT-2's tokens in the datasets folder",
    notes=(
        "only the abstract and a summary are at hand: every size, rate and number of steps is our "
        "choice",
        "the paper's rule of depth is not printed: sizes across depths are those of plain µP, and "
        "of CompleteP, which has no rule for LAMB",
        "LAMB's hidden rate is 1/√m here (Tensor Programs V, B.3); the paper says 1: "
        "mup:trust_ratio_rate=full_rank",
        "Shampoo has no blocks and no grafting here; Muon and Shampoo leave what is not hidden to "
        "AdamW, with the same base rate",
    ),
)
