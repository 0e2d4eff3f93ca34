"""From SP to µP, one fix at a time, as the practitioner's guide shows it."""

from collections.abc import Mapping

from muscope.presets.preset import Preset, Size
from muscope.presets.scale import Scale, check, constant, parametrization, tokens, transformer
from muscope.spec import StudySpec

RATE = 1e-2
RANDOM_READOUT = {"zero_readout": False}
HEADS: Mapping[Size, int] = {"smoke": 2, "laptop": 2, "paper": 4}


def _scale(
    widths: tuple[int, ...], length: int, batch_size: int, *, steps: int, seeds: int
) -> Scale:
    return Scale(
        widths=widths,
        depths=(2,),
        base_width=widths[0],
        head_size=1,
        sequence_length=length,
        batch_size=batch_size,
        steps=steps,
        warmup_steps=0,
        seeds=seeds,
        octaves=(),
        data=tokens("openwebtext.bin", 50_304) if widths[0] == 256 else (),
    )


SCALES: Mapping[Size, Scale] = {
    "smoke": _scale((16, 32, 64), 8, 2, steps=2, seeds=2),
    "laptop": _scale((32, 64, 128, 256), 64, 8, steps=10, seeds=3),
    "paper": _scale((256, 512, 1024, 2048, 4096), 1024, 8, steps=10, seeds=5),
}
STAIRS = (
    "everything_fixed",
    "never_scaled",
    "output_multiplier_missing",
    "attention_by_sqrt_d",
    "",
)
"""What is broken at each step: less and less, until nothing is."""


def studies(size: Size) -> tuple[StudySpec, ...]:
    """One coordinate check of five parametrizations; heads grow, so that attention's fix counts."""
    scale = SCALES[size]
    return (
        check(
            f"From SP to µP, one fix at a time ({size})",
            scale,
            transformer("gpt", scale, {"heads": HEADS[size]}),
            [constant("adamw", RATE)],
            [parametrization("mup", RANDOM_READOUT, fault=fault) for fault in STAIRS],
        ),
    )


PRESET = Preset(
    name="sp-to-mup-staircase",
    title="From SP to µP, one fix at a time",
    question="What does each part of µP repair?",
    source="EleutherAI/nanoGPT-mup, The Practitioner's Guide to µP",
    claim="With every fix (initialization of hidden weights, their learning rate, the logits' "
    "multiplier, the scale of attention) one more kind of tensor stops growing; with all, none "
    "grows.",
    build=studies,
    needs="a GPU, and a file openwebtext.bin of GPT-2's tokens in the datasets folder",
    notes=(
        "printed are widths 256 to 4096, 2 layers, base width 256 with heads of 64, 10 steps at a "
        "constant 1e-2, 5 seeds (facts, section 4); sequences, batches and data are our choice",
        "published with heads of fixed size; here their number is fixed, so that they grow, "
        "because else the last fix changes nothing",
        "the steps are faults of our library on µP: nothing scaled and one std; first values by "
        "1/√fan_in; all but the logits' multiplier; all but attention's scale; nothing broken. The "
        "second starts the readout by 1/√fan_in too, the published one leaves it",
        "weight decay 0.1 and clipping at 1.0 are left out, as a coordinate check wants it",
    ),
)
