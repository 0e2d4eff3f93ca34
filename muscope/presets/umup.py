"""u-µP against µP: rates, independent search, numbers over training, FP8 (Blake et al. 2024).

The prerequisites hold: no trainable gains, independent weight decay, every token drawn from far
more text than a run reads.
"""

from collections.abc import Mapping
from dataclasses import replace

from muscope.presets.preset import Preset, Size
from muscope.presets.scale import (
    LAPTOP,
    NONE,
    SMOKE,
    Scale,
    Switches,
    check,
    constant,
    optimizer,
    parametrization,
    tokens,
    transfer,
    transformer,
    tune,
)
from muscope.spec import ParametrizationSpec, StudySpec
from muscope.tuning import Tuning

TITLES = {"mup": "µP", "u_mup": "u-µP"}
RATES = {"mup": 2.0**-6, "u_mup": 1.0}
"""Where the grids of rates are centred."""
DECAY = {"weight_decay": 1e-4}
MULTIPLIERS = {
    "mup": (
        "init_std_multiplier",
        "embedding_multiplier",
        "attention_multiplier",
        "readout_multiplier",
    ),
    "u_mup": (
        "alpha_res",
        "alpha_res_attn_ratio",
        "alpha_attn_softmax",
        "alpha_ffn_act",
        "alpha_loss_softmax",
    ),
}
"""What is searched beside the rate."""
REACH = (-2.0, 2.0)
"""Octaves of every multiplier: from a quarter to four."""
SPACING: Mapping[Size, float] = {"smoke": 2.0, "laptop": 1.0, "paper": 1.0}
KEEP: Mapping[Size, tuple[int, ...]] = {"smoke": (2,), "laptop": (5, 2), "paper": (5,)}
"""Sets that go on to each larger width."""
SCALES: Mapping[Size, Scale] = {
    "smoke": SMOKE,
    "laptop": LAPTOP,
    "paper": Scale(
        widths=(512, 1024),
        depths=(8,),
        base_width=512,
        head_size=128,
        sequence_length=256,
        batch_size=64,
        steps=8_000,
        warmup_steps=2_000,
        seeds=3,
        octaves=(-3, -2, -1, 0, 1, 2, 3, 4),
        data=tokens("pretraining.bin", 32_000),
    ),
}
NEARBY = (-1.0, 0.0, 1.0)
FP8 = {"precision": "fp8"}
CHECK_SEEDS: Mapping[Size, int] = {"smoke": 2, "laptop": 3, "paper": 3}
CHECK_STEPS: Mapping[Size, int] = {"smoke": 1, "laptop": 64, "paper": 4096}


def studies(size: Size) -> tuple[StudySpec, ...]:
    """Rates of both; independent searches of both; numbers over training; FP8."""
    scale = SCALES[size]
    near = replace(scale, octaves=NEARBY, search="full", widths=scale.widths[:2])
    return (
        *(_rates(name, f"Rates of {title}", size, scale) for name, title in TITLES.items()),
        *(_search(name, size, scale) for name in TITLES),
        *(_numbers(name, size, near) for name in RATES),
        *(_rates(name, f"{title} in FP8", size, near, FP8) for name, title in TITLES.items()),
    )


def _rule(name: str) -> ParametrizationSpec:
    return parametrization(name, {"zero_readout": False})


def _rates(name: str, title: str, size: Size, scale: Scale, model: Switches = NONE) -> StudySpec:
    return transfer(
        f"{title} ({size})",
        scale,
        transformer("llama", scale, model),
        [optimizer("adamw_independent", RATES[name], scale, DECAY)],
        [_rule(name)],
    )


def _search(name: str, size: Size, scale: Scale) -> StudySpec:
    """The rates; at the best of them every multiplier alone; the best of each together."""
    ranges = dict.fromkeys(MULTIPLIERS[name], REACH)
    return tune(
        f"Independent search of {TITLES[name]} ({size})",
        scale,
        transformer("llama", scale),
        optimizer("adamw_independent", RATES[name], scale, DECAY),
        _rule(name),
        tuning=Tuning(method="independent", ranges=ranges, spacing=SPACING[size], keep=KEEP[size]),
    )


def _numbers(name: str, size: Size, scale: Scale) -> StudySpec:
    """Sizes of everything while it trains, and what FP8 would lose of it."""
    return check(
        f"Numbers of {TITLES[name]} over training ({size})",
        replace(scale, steps=CHECK_STEPS[size], seeds=CHECK_SEEDS[size]),
        transformer("llama", scale),
        [constant("adamw_independent", RATES[name], DECAY)],
        [_rule(name)],
        record="full",
        batches="fresh",
    )


PRESET = Preset(
    name="umup",
    title="u-µP against µP",
    question="Do rates and multipliers transfer under u-µP, and do its numbers fit into FP8?",
    source="Blake et al. 2024, u-µP: The Unit-Scaled Maximal Update Parametrization "
    "(arXiv 2407.17465)",
    claim="Under u-µP rates and multipliers have nearly the same optimum at every width, searched "
    "one by one; weights, activations and gradients start with RMS near 1, where µP's are so small "
    "that FP8 underflows.",
    build=studies,
    needs="a GPU, and a file pretraining.bin of tokens in the datasets folder",
    notes=(
        "printed are proxies of width 512 with 4 heads and 1024, 8 layers, and the conditions: no "
        "trainable gains, independent decay, under-fitting, warm-up steps kept; sequences, "
        "batches, steps, vocabulary, decay (1e-4) and seeds are our choice",
        "printed of the search are u-µP's five multipliers, all 1 at first, and the scheme: the "
        "rate, each multiplier alone, the best of each together; that they go from 1/4 to 4, and "
        "how many sets go on to a larger width, are our choice",
        "µP, which is usually searched at random over all at once, is searched in the same way, "
        "over multipliers of first values, embedding, attention and readout; these are our choice",
        "the conditions are kept by every study here; that a published claim fails without them is "
        "what lingle-vector-gains and lingle-decoupled-decay show",
        "FP8 is simulated: values are rounded, products are computed in float32",
    ),
)
