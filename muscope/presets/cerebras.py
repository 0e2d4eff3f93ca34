"""Cerebras-GPT (Dey et al. 2023), and Cerebras' guide to tuning a µP proxy."""

import random
from collections.abc import Iterator, Mapping
from dataclasses import replace

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
from muscope.spec import ModelSpec, ParametrizationSpec, StudySpec

RATE = 6e-3
TUNED = {"base_std": 0.08, "embeddings_scale": 10.0}
PROXY_TOKENS, BATCH_TOKENS, SEQUENCE = 600_000_000, 131_072, 2048
DATA = tokens("pile.bin", 50_257)
SCALES: Mapping[Size, Scale] = {
    "smoke": SMOKE,
    "laptop": replace(LAPTOP, octaves=(-3, -2, -1, 0, 1, 2, 3)),
    "paper": Scale(
        widths=(256, 2560),
        depths=(32,),
        base_width=256,
        head_size=128,
        sequence_length=SEQUENCE,
        batch_size=BATCH_TOKENS // SEQUENCE,
        steps=PROXY_TOKENS // BATCH_TOKENS,
        warmup_steps=100,
        seeds=1,
        octaves=(-5, -4, -3, -2, -1, 0, 1),
        data=DATA,
    ),
}
SAMPLES: Mapping[Size, tuple[int, int]] = {"smoke": (1, 2), "laptop": (1, 6), "paper": (2, 20)}
"""Studies, and samples in each of them: with five rates, 200 trainings of the proxy."""
RANGES = {
    "base_std": (0.02, 0.32),
    "embeddings_scale": (1.0, 32.0),
    "output_logits_alpha": (0.25, 4.0),
    "attention_logits_alpha": (0.25, 4.0),
}


def _model(scale: Scale) -> ModelSpec:
    """GPT with everything that Table 14 speaks of: biases, gains, tied embeddings."""
    return transformer(
        "gpt", scale, {"biases": True, "norm_gains": "vector", "tied_embeddings": True}
    )


def gpt(size: Size) -> tuple[StudySpec, ...]:
    """SP and µP at the same rates, from the proxy's width to that of 2.7B parameters."""
    scale = SCALES[size]
    tuned = parametrization("cerebras", TUNED)
    return (
        transfer(
            f"Cerebras-GPT ({size})",
            scale,
            _model(scale),
            [optimizer("adamw", RATE, scale)],
            [parametrization("sp", {"init": "gpt2"}), tuned],
        ),
    )


def guide(size: Size) -> tuple[StudySpec, ...]:
    """Samples of multipliers, each at several rates, at the proxy and an intermediate width."""
    scale = SCALES[size]
    widths = (256, 1024) if size == "paper" else scale.widths[:2]
    rates = (-2.0, -1.0, 0.0, 1.0, 2.0) if size == "paper" else (-1.0, 0.0, 1.0)
    searched = replace(scale, widths=widths, octaves=rates, seeds=1, search="full")
    count, each = SAMPLES[size]
    draws = _samples(random.Random(0))
    return tuple(
        transfer(
            f"Cerebras' guide: samples {number * each + 1} to {(number + 1) * each} ({size})",
            searched,
            _model(searched),
            [optimizer("adamw", RATE, searched)],
            [next(draws) for _ in range(each)],
        )
        for number in range(count)
    )


def _samples(draw: random.Random) -> Iterator[ParametrizationSpec]:
    """Multipliers, uniform in their logarithm; the first sample is what was published."""
    yield parametrization("cerebras", TUNED)
    while True:
        values = {
            name: float(f"{low * (high / low) ** draw.random():.3g}")
            for name, (low, high) in RANGES.items()
        }
        yield parametrization("cerebras", values)


GPT = Preset(
    name="cerebras-gpt",
    title="Cerebras-GPT: SP and µP",
    question="Do the hyperparameters of a 40M proxy hold up to 2.7B parameters?",
    source="Dey et al. 2023, Cerebras-GPT (arXiv 2304.03208), Table 14",
    claim="Tuned at width 256, rate 6e-3, std 0.08 and embeddings × 10 hold under µP up to 2.7B "
    "parameters, with a lower loss than SP, whose rate must be tuned for each size.",
    studies=gpt,
    needs="a GPU, and a file pile.bin of GPT-2's tokens in the datasets folder",
    notes=(
        "printed are the base (width 256, 32 layers, heads of 128, 600M tokens, batches of 131k "
        "tokens) and the width of 2.7B, 2560; sequences of 2048, warm-up, schedule, data, rates "
        "and seeds are our choice",
        "paper: every width trains for the proxy's 600M tokens, not for 20 tokens per parameter",
        "q·k is divided by d, as the tools do; Table 14 prints √d (scale_qk_dot_by_d: false)",
        "weights start from a normal distribution here, in Table 14 from a truncated one",
    ),
)
GUIDE = Preset(
    name="cerebras-guide",
    title="Cerebras' guide: tuning a proxy",
    question="Which multipliers and rate are best at the proxy, and are they at a larger width?",
    source="Cerebras, Train an LLM using Maximal Update Parameterization",
    claim="200 random samples on a 40M proxy find hyperparameters that hold at the target; the ten "
    "best are tried at an intermediate size, and ranked by loss and by stability.",
    studies=guide,
    needs=GPT.needs,
    notes=(
        "samples of base_std, embeddings_scale, output_logits_alpha and attention_logits_alpha, "
        "each at every rate: 40 × 5 = 200 trainings at width 256; ranges and the intermediate "
        "width 1024 are our choice",
        "every sample is trained at the intermediate width too, not the ten best alone: a study "
        "does not choose among its parametrizations",
        "loss spikes and gradient norms do not rank; adjust_learning_rate has no embedding group",
        *GPT.notes[1:],
    ),
)
