"""The demo of transfer: the best rate of SP falls as a GPT gets wider, that of µP stays."""

from collections.abc import Mapping

from muscope.presets.preset import Preset, Size
from muscope.presets.scale import (
    SMOKE,
    Scale,
    optimizer,
    parametrization,
    tokens,
    transfer,
    transformer,
)
from muscope.spec import StudySpec

NAME = "transfer-demo"
RATE = 2.0**-8
SCALES: Mapping[Size, Scale] = {
    "smoke": SMOKE,
    "laptop": Scale(
        widths=(32, 64, 128, 256),
        depths=(2,),
        base_width=32,
        head_size=16,
        sequence_length=64,
        batch_size=16,
        steps=150,
        warmup_steps=10,
        seeds=2,
        octaves=(-3, -2, -1, 0, 1, 2, 3, 4),
        search="adaptive",
    ),
    "paper": Scale(
        widths=(128, 256, 512, 1024, 2048, 4096, 8192),
        depths=(2,),
        base_width=128,
        head_size=64,
        sequence_length=256,
        batch_size=64,
        steps=5_000,
        warmup_steps=500,
        seeds=1,
        octaves=(-8, -7, -6, -5, -4, -3, -2, -1, 0),
        data=tokens("wikitext2.bin", 33_278),
    ),
}


def studies(size: Size) -> tuple[StudySpec, ...]:
    """SP and µP (Table 8) at the same rates and seeds, in one study."""
    scale = SCALES[size]
    return (
        transfer(
            f"Demo: does the learning rate transfer? ({size})",
            scale,
            transformer("gpt", scale),
            [optimizer("adamw", RATE, scale)],
            [parametrization("sp"), parametrization("mup", {"zero_readout": False})],
        ),
    )


PRESET = Preset(
    name=NAME,
    title="Demo: does the learning rate transfer?",
    question="Is the learning rate that is best for a small GPT best for a wider one too?",
    source="Yang et al. 2022, Tensor Programs V (arXiv 2203.03466), Figure 1",
    claim="With Adam the best learning rate of a transformer falls as it gets wider under SP, and "
    "stays where it is under µP.",
    build=studies,
    needs="a GPU, and a file wikitext2.bin of tokens in the datasets folder",
    notes=(
        "the figure is not at hand: its widths, 128 to 8192, are recalled, and everything else of "
        "the size paper is our choice",
        "laptop: all of it is our choice; theory for SP with Adam is one octave per doubling "
        "(facts, section 7.1)",
        "µP's readout starts as SP's does, so that both are one model at the base width; from a "
        "zero readout losses are 0.2 higher at this length, and optima scatter by half an octave",
    ),
)
