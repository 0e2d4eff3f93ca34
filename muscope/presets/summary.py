"""A study's settings in one line: what docs/presets.md prints of every size."""

import math
from collections.abc import Iterator, Sequence

from muscope import catalogue
from muscope.spec import StudySpec


def settings(spec: StudySpec) -> str:
    """Model, grid, steps, batch, rates and seeds of a study."""
    return "; ".join(_settings(spec))


def _settings(spec: StudySpec) -> Iterator[str]:
    (arm,) = spec.arms
    options = arm.model.options
    yield catalogue.MODELS[arm.model.name].title
    yield f"widths {numbers(spec.widths)}"
    yield f"depths {numbers(spec.depths)}"
    if "head_size" in options and not options.get("heads"):
        yield f"heads of {options['head_size']}"
    if "sequence_length" in options:
        yield f"sequences of {options['sequence_length']}"
    yield f"batches of {numbers(spec.batch_sizes or (arm.model.batch_size,))}"
    yield f"{spec.steps} steps"
    yield f"rates {_rates(spec)}"
    yield from _sets(spec)
    yield f"seeds {spec.seeds}"


def _sets(spec: StudySpec) -> Iterator[str]:
    """Of a search how its sets are found, and how many there are at every width."""
    tuning = spec.tuning
    if tuning is None:
        return
    (variant,) = spec.variants
    at_most = "" if tuning.is_sampled else "at most "
    yield f"search {tuning.method} over {len(spec.tuned_names(variant)) + 1} hyperparameters"
    yield f"{at_most}{spec.sets_at_most(variant)} sets, then the best {numbers(tuning.keep)}"


def _rates(spec: StudySpec) -> str:
    """Every optimizer's range as powers of two; all octaves of a range where they are few."""
    (arm,) = spec.arms
    bases = sorted({math.log2(one.learning_rate) for one in arm.optimizers})
    if not spec.octaves:
        return ", ".join(f"{2**base:.3g}" for base in bases)
    many = "drawn" if spec.tuning and spec.tuning.is_sampled else len(spec.octaves)
    ranges = (
        f"2^{base + spec.octaves[0]:.3g} to 2^{base + spec.octaves[-1]:.3g} ({many})"
        for base in bases
    )
    beyond = f", up to {spec.extend_octaves} octaves beyond" if spec.extend_octaves else ""
    return ", ".join(ranges) + beyond


def numbers(values: Sequence[int]) -> str:
    """All of them, or the ends of a long series: `128 … 8192 (7)`."""
    if len(values) <= 5:
        return ", ".join(map(str, values))
    return f"{values[0]} … {values[-1]} ({len(values)})"
