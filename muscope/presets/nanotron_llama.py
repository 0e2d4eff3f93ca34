"""nanotron's Llama of 350M parameters: a million tokens per batch, learning rate 0.001."""

from collections.abc import Mapping
from dataclasses import replace

from muscope.presets.preset import Preset, Size
from muscope.presets.scale import (
    LAPTOP,
    NONE,
    SMOKE,
    Scale,
    Switches,
    optimizer,
    parametrization,
    tokens,
    transfer,
    transformer,
)
from muscope.spec import StudySpec

RATE = 0.001
SP: Mapping[Size, Switches] = {"smoke": NONE, "laptop": NONE, "paper": {"init": "gpt2"}}
"""At width 1024 LeCun's 1/√fan_in and GPT-2's 0.02 are either side of the printed 0.025."""
SCALES: Mapping[Size, Scale] = {
    "smoke": SMOKE,
    "laptop": replace(LAPTOP, octaves=(-1, 0, 1, 2, 3, 4, 5, 6)),
    "paper": Scale(
        widths=(512, 1024),
        depths=(21,),
        base_width=512,
        head_size=64,
        sequence_length=2048,
        batch_size=512,
        steps=10_000,
        warmup_steps=1_000,
        seeds=1,
        octaves=(-2, -1, 0, 1, 2),
        data=tokens("pretraining.bin", 32_000),
    ),
}


def studies(size: Size) -> tuple[StudySpec, ...]:
    """One learning-rate study; the published runs are those of octave 0 at the larger width."""
    scale = SCALES[size]
    return (
        transfer(
            f"nanotron's Llama of 350M ({size})",
            scale,
            transformer("llama", scale),
            [optimizer("adamw", RATE, scale)],
            [
                parametrization("sp", SP[size]),
                *map(parametrization, ("nanotron", "spectral")),
            ],
        ),
    )


PRESET = Preset(
    name="nanotron-llama-350m",
    title="nanotron: a Llama of 350M parameters",
    question="Does spectral µTransfer reach the training loss of SP?",
    source="nanotron, examples/mup/README.md (Spectral µTransfer, on 350m LLaMA)",
    claim="Spectral µTransfer matches SP's pretraining, with a training loss higher by 0.04. On "
    "models of 1B and 8B the loss blew up.",
    build=studies,
    needs="a GPU, and a file pretraining.bin of tokens in the datasets folder",
    notes=(
        "printed are 350M parameters, 1M tokens per batch, the rate 0.001 and SP's std 0.025; "
        "depth, width, heads, sequences, vocabulary (32,000), steps and other rates are our "
        "choice",
        "SP's fixed std is GPT-2's 0.02 here, and divided by √(2 depth) where the stream grows; "
        "laptop: LeCun's, 1/√fan_in, as a std that suits width 1024 is a ninth of it at width 32",
        "a study needs two widths and three rates: the published ones are width 1024 and 0.001",
        "'nanotron' is what its code does, 'spectral' the rule of the paper that it cites",
    ),
)
