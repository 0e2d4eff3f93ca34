"""Cerebras-GPT (Dey et al. 2023), and Cerebras' guide to tuning a µP proxy."""

from collections.abc import Mapping
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
    tune,
)
from muscope.spec import ModelSpec, StudySpec
from muscope.tuning import Tuning

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
REACH = (-3.0, 3.0)
"""Octaves of the learning rate, from the published one, between which samples are drawn."""
RANGES = {
    "base_std": (-2.0, 2.0),
    "embeddings_scale": (-3.0, 2.0),
    "output_logits_alpha": (-2.0, 2.0),
    "attention_logits_alpha": (-2.0, 2.0),
}
"""Octaves of the multipliers, from the published ones."""
SEARCHES: Mapping[Size, tuple[tuple[int, ...], int, tuple[int, ...], int]] = {
    "smoke": ((16, 32), 8, (3,), 1),
    "laptop": ((32, 64, 128), 40, (10, 2), 3),
    "paper": ((256, 1024, 2560), 200, (10, 2), 3),
}
"""Widths, samples at the first of them, how many go on to each other one, and seeds."""


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
    """Random samples at the proxy, the ten best at an intermediate width, two at the target."""
    widths, samples, keep, seeds = SEARCHES[size]
    scale = replace(SCALES[size], widths=widths, seeds=seeds, octaves=REACH)
    return (
        tune(
            f"Cerebras' guide: {samples} samples ({size})",
            scale,
            _model(scale),
            optimizer("adamw", RATE, scale),
            parametrization("cerebras", TUNED),
            tuning=Tuning(method="random", ranges=RANGES, samples=samples, keep=keep),
        ),
    )


GPT = Preset(
    name="cerebras-gpt",
    title="Cerebras-GPT: SP and µP",
    question="Do the hyperparameters of a 40M proxy hold up to 2.7B parameters?",
    source="Dey et al. 2023, Cerebras-GPT (arXiv 2304.03208), Table 14",
    claim="Tuned at width 256, rate 6e-3, std 0.08 and embeddings × 10 hold under µP up to 2.7B "
    "parameters, with a lower loss than SP, whose rate must be tuned for each size.",
    build=gpt,
    rate=RATE,
    published_of="cerebras",
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
    build=guide,
    needs=GPT.needs,
    notes=(
        "printed are 200 random samples of the 40M proxy, the ten best to an intermediate size, "
        "and steadiness as a reason to take the second or third; sampled are the rate, base_std "
        "and embeddings_scale, of which tuned values are printed, and the guide's two alphas",
        "ranges (rates from 1/8 to 8 times the published, embeddings from 1/8 to 4 times, the "
        "others from 1/4 to 4 times), the intermediate width 1024, the two sets that go on to "
        "2560, and three seeds of every set are our choice",
        "the published set is tried too, before the samples, as a yardstick",
        "what counts as a spike and as a growing gradient is our choice; adjust_learning_rate has "
        "no embedding group",
        *GPT.notes[1:],
    ),
)
