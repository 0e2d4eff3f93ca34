"""A spec as the fields of the form: everything is text, and what is not ticked is absent."""

from collections.abc import Mapping

from muscope import catalogue
from muscope.catalogue import OptionValue
from muscope.spec import CheckSpec, StudySpec
from muscope.tuning import Tuning

OCTAVES, HELD_OUT = (-3, -2, -1, 0, 1, 2, 3), 8
"""What the form offers to who makes a learning-rate study of another one."""

SAMPLES = 64
"""Sets that a sampler draws, unless something else is typed."""


def from_spec(spec: StudySpec) -> dict[str, str]:
    """The fields that describe a spec: one model once, one set of options per optimizer."""
    values = {
        "name": spec.name,
        "extends": spec.extends or "",
        "from_preset": spec.preset or "",
        "kind": spec.kind,
        "widths": ", ".join(map(str, spec.widths)),
        "depths": ", ".join(map(str, spec.depths)),
        "batch_sizes": ", ".join(map(str, spec.batch_sizes)),
        "base_width": str(spec.base_width),
        "base_depth": str(spec.base_depth),
        "seeds": str(spec.seeds),
        "steps": str(spec.steps),
        "record": spec.record,
        "record_every": "" if spec.record_every is None else str(spec.record_every),
        "batches": spec.batches,
        "stop_early": text(spec.stop_early),
        "octaves": ", ".join(f"{octave:g}" for octave in spec.octaves or OCTAVES),
        "search": spec.search,
        "held_out": str(spec.held_out if spec.octaves else HELD_OUT),
        "sequence_lengths": ", ".join(map(str, spec.sequence_lengths)),
        "step_counts": ", ".join(map(str, spec.step_counts)),
        "extend_octaves": str(spec.extend_octaves or ""),
        "yaml": "",
    }
    values |= _defaults()
    values |= _check_values(spec)
    values |= _tuning_values(spec)
    for arm in spec.arms:
        prefix = f"model.{arm.model.name}"
        values |= {prefix: "on", f"{prefix}.batch_size": str(arm.model.batch_size)}
        values |= _option_values(prefix, arm.model.options)
        for name in {optimizer.name for optimizer in arm.optimizers}:
            same = [entry for entry in arm.optimizers if entry.name == name]
            rates = ", ".join(repr(entry.learning_rate) for entry in same)
            values |= {f"{prefix}.{name}": "on", f"{prefix}.{name}.learning_rates": rates}
            values |= _option_values(f"{prefix}.{name}", same[0].options)
    values |= {f"statistic.{name}": "on" for name in spec.statistics}
    for entry in spec.parametrizations:
        values[f"parametrization.{entry.name}"] = "on"
        values |= _option_values(f"parametrization.{entry.name}", entry.options)
    return _only_true(values)


def _check_values(spec: StudySpec) -> dict[str, str]:
    """The coordinate check beside a sweep; what the form offers where there is none."""
    check = spec.check or CheckSpec()
    return {
        "check": text(spec.check is not None),
        "check.seeds": str(check.seeds),
        "check.steps": "" if check.steps is None else str(check.steps),
        "check.record": check.record,
    }


def _tuning_values(spec: StudySpec) -> dict[str, str]:
    """The rule of a hyperparameter search; what the form offers where there is none."""
    tuning = spec.tuning or Tuning(method="independent", keep=())
    ranges = (f"{name} {low:g} to {high:g}" for name, (low, high) in tuning.ranges.items())
    return {
        "tuning.method": tuning.method,
        "tuning.ranges": ", ".join(ranges),
        "tuning.samples": str(tuning.samples or SAMPLES),
        "tuning.draw": str(tuning.draw),
        "tuning.spacing": f"{tuning.spacing:g}",
        "tuning.keep": ", ".join(map(str, tuning.keep)),
    }


def text(value: OptionValue) -> str:
    """An option's value as its field holds it."""
    if isinstance(value, bool):
        return "on" if value else ""
    return value if isinstance(value, str) else repr(value)


def _defaults() -> dict[str, str]:
    """Every number that the catalogue offers, so that an unticked part is filled in too."""
    values: dict[str, str] = {}
    for model in catalogue.MODELS.values():
        prefix = f"model.{model.name}"
        values[f"{prefix}.batch_size"] = str(model.batch_size)
        values |= _option_values(prefix, catalogue.with_defaults({}, model.options))
        for entry in catalogue.OPTIMIZERS.values():
            values[f"{prefix}.{entry.name}.learning_rates"] = repr(entry.learning_rate)
            options = catalogue.with_defaults({}, entry.options)
            values |= _option_values(f"{prefix}.{entry.name}", options)
    for parametrization in catalogue.PARAMETRIZATION_ENTRIES.values():
        options = catalogue.with_defaults({}, parametrization.options)
        values |= _option_values(f"parametrization.{parametrization.name}", options)
    return values


def _option_values(prefix: str, options: Mapping[str, OptionValue]) -> dict[str, str]:
    return {f"{prefix}.option.{name}": text(value) for name, value in options.items()}


def _only_true(values: Mapping[str, str]) -> dict[str, str]:
    """A checkbox that is off is absent, as in a posted form."""
    return {name: value for name, value in values.items() if value}
