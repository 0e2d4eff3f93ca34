"""Studies that are ready to run, as data: one module each."""

from muscope.presets import (
    cerebras,
    complete_p,
    deepseek,
    demo,
    lingle,
    minicpm,
    nanotron_llama,
    nanotron_mlp,
    optimizers,
    staircase,
    umup,
)
from muscope.presets.preset import SIZES, Preset, Size

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        staircase.PRESET,
        nanotron_mlp.PRESET,
        nanotron_llama.PRESET,
        umup.PRESET,
        optimizers.PRESET,
        cerebras.GPT,
        cerebras.GUIDE,
        minicpm.PRESET,
        deepseek.PRESET,
        complete_p.PRESET,
        *lingle.PRESETS,
    )
}
"""Every published experiment by name."""


def preset(name: str) -> Preset:
    """The preset of that name; ValueError where there is none."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r}; allowed: {', '.join(PRESETS)}")
    return PRESETS[name]


__all__ = ["PRESETS", "SIZES", "Preset", "Size", "demo", "preset"]
