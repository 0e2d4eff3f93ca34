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
    transfer_demo,
    umup,
)
from muscope.presets.preset import SIZES, Preset, Size
from muscope.presets.published import PublishedRates
from muscope.recorded import AnySpec
from muscope.spec import StudySpec

PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        transfer_demo.PRESET,
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


def published_rates(spec: AnySpec, variant: str) -> PublishedRates | None:
    """What was printed of the learning rates of a variant, if its study came from such a preset."""
    if not isinstance(spec, StudySpec) or spec.preset not in PRESETS:
        return None
    found = PRESETS[spec.preset].rates
    names = [one.parametrization.name for one in spec.variants if one.key == variant]
    if found is None or (found.parametrization and found.parametrization not in names):
        return None
    return found


__all__ = [
    "PRESETS",
    "SIZES",
    "Preset",
    "PublishedRates",
    "Size",
    "demo",
    "preset",
    "published_rates",
]
