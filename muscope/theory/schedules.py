"""Schedules: what every learning rate is multiplied by at each update of a run.

A schedule is a factor, never a rate: it multiplies the rates of all weights alike, so the ratios
between them, which are the parametrization, survive it. It has no absolute minimum either, only a
fraction of each weight's own rate (docs/facts.md, pitfall 14).

With s updates done before this one, of S in all, W of warm-up, and the end fraction f:

    warm-up          (s + 1) / W                    s < W
    linear           f + (1 - f) (1 - x)            x = (s - W) / (S - W)
    cosine           f + (1 - f) (1 + cos(pi x)) / 2
    WSD, stable      1                              s < T = S (1 - decay_fraction)
    WSD, decay       f + (1 - f) d,  y = (s - T) / (S - T)
                     d = 1 - y, 1 - sqrt(y), or 2^(-(s - T) / half-life)
    multi-step       1, from 80 % of the run 0.316, from 90 % on 0.1

Sources: facts section 8, rows WSD (MiniCPM, Hu et al. 2024; nanotron's 1-sqrt) and DeepSeek
schedule (DeepSeek-AI 2024); cosine is Loshchilov & Hutter 2017. The sources start the warm-up at
s / W; here the first update counts too.
"""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TypeAlias

ScheduleOptions: TypeAlias = Mapping[str, bool | int | float | str]
"""The options of an optimizer, complete: those of its schedule are read, the others passed over."""

_Schedule: TypeAlias = Callable[[int, int, ScheduleOptions], float]
"""The factor after the warm-up, of (updates done, updates in all, options)."""

_ENDS_AT_FRACTION = ("final_fraction",)
_WSD = ("final_fraction", "decay_fraction")

READS: dict[str, tuple[str, ...]] = {
    "constant": (),
    "linear": _ENDS_AT_FRACTION,
    "cosine": _ENDS_AT_FRACTION,
    "wsd_linear": _WSD,
    "wsd_sqrt": _WSD,
    "wsd_exponential": (*_WSD, "half_life_steps"),
    "multi_step": (),
}
"""Every schedule, with the options that it reads beside `warmup_steps`."""

OPTIONAL = ("final_fraction", "decay_fraction", "half_life_steps")

MULTI_STEP = ((Fraction(9, 10), 0.1), (Fraction(8, 10), 0.316), (Fraction(0), 1.0))
"""From which part of the run on, and the factor there; the last part first."""


def factor(step: int, steps: int, options: ScheduleOptions) -> float:
    """The factor at update number `step` of `steps`, counted from 1."""
    done, warmup = step - 1, int(options["warmup_steps"])
    if done < warmup:
        return step / warmup
    return _AFTER_WARMUP[str(options["schedule"])](done, steps, options)


def complaint(steps: int, options: ScheduleOptions, defaults: ScheduleOptions) -> str | None:
    """Why a run of that many updates cannot follow the schedule, as a sentence; None if it can."""
    schedule, warmup = str(options["schedule"]), int(options["warmup_steps"])
    if warmup > steps:
        return f"warmup_steps {warmup} is longer than the run of {steps} steps; take at most that"
    for name in OPTIONAL:
        if options[name] != defaults[name] and name not in READS[schedule]:
            readers = ", ".join(word for word, names in READS.items() if name in names)
            return f"{name} does nothing in the schedule {schedule!r}; {readers} read it"
    if schedule.startswith("wsd_") and warmup > _decay_start(steps, options):
        share = float(options["decay_fraction"])
        return (
            f"warmup_steps {warmup} and a decay_fraction of {share:g} overlap in a run of "
            f"{steps} steps; take less of one"
        )
    return None


def _constant(done: int, steps: int, options: ScheduleOptions) -> float:
    return 1.0


def _linear(done: int, steps: int, options: ScheduleOptions) -> float:
    return _above_final(1 - _after_warmup(done, steps, options), options)


def _cosine(done: int, steps: int, options: ScheduleOptions) -> float:
    x = _after_warmup(done, steps, options)
    return _above_final((1 + math.cos(math.pi * x)) / 2, options)


def _multi_step(done: int, steps: int, options: ScheduleOptions) -> float:
    return next(value for start, value in MULTI_STEP if Fraction(done, steps) >= start)


def _wsd(decay: Callable[[float, float, ScheduleOptions], float]) -> _Schedule:
    """Stable until T, then `decay` of y and of the updates since T."""

    def schedule(done: int, steps: int, options: ScheduleOptions) -> float:
        start = _decay_start(steps, options)
        if done < start:
            return 1.0
        return _above_final(decay((done - start) / (steps - start), done - start, options), options)

    return schedule


def _half_lives(y: float, since: float, options: ScheduleOptions) -> float:
    return float(0.5 ** (since / float(options["half_life_steps"])))


_AFTER_WARMUP: dict[str, _Schedule] = {
    "constant": _constant,
    "linear": _linear,
    "cosine": _cosine,
    "wsd_linear": _wsd(lambda y, since, options: 1 - y),
    "wsd_sqrt": _wsd(lambda y, since, options: 1 - math.sqrt(y)),
    "wsd_exponential": _wsd(_half_lives),
    "multi_step": _multi_step,
}


def _after_warmup(done: int, steps: int, options: ScheduleOptions) -> float:
    """x, the part of the run after the warm-up that is done."""
    warmup = int(options["warmup_steps"])
    return (done - warmup) / (steps - warmup)


def _decay_start(steps: int, options: ScheduleOptions) -> float:
    """T, after how many updates the decay of WSD begins."""
    return steps * (1 - float(options["decay_fraction"]))


def _above_final(shape: float, options: ScheduleOptions) -> float:
    """A shape from 1 to 0 becomes one from 1 to the final fraction."""
    final = float(options["final_fraction"])
    return final + (1 - final) * shape
