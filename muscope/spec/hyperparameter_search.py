"""What a hyperparameter search may ask."""

from muscope import catalogue
from muscope.spec import sweep
from muscope.spec.parametrization import ParametrizationSpec
from muscope.spec.question import Question

_WITHOUT = (
    "stop_early", "search", "statistics", "batch_sizes", "record_every", "extends", "check",
    "sequence_lengths", "step_counts", "extend_octaves",
)  # fmt: skip
"""Fields that a search has no use for."""


def check(study: Question) -> None:
    """Refuse a rule that does not fit and what means nothing here; fill in what is always so."""
    if study.tuning is None:
        raise ValueError("hyperparameter_search needs tuning: how sets are found and compared")
    complaint = study.tuning.complaint(study.octaves, study.widths)
    if complaint:
        raise ValueError(complaint)
    if len(study.depths) > 1:
        raise ValueError("a hyperparameter search has one depth; make a study for each")
    for name in study.chosen_of(_WITHOUT):
        raise ValueError(f"{name} has no meaning in a hyperparameter search; leave it out")
    sweep.check(study)


def check_ranges(study: Question) -> None:
    """Every multiplier of a search changes something, within what its option allows."""
    if study.tuning is None:
        return
    known = {name for variant in study.variants for name in variant.acting}
    for name in study.tuning.ranges:
        if name not in known:
            raise ValueError(
                f"ranges: {name!r} changes nothing in any variant of this study; those that "
                f"do: {', '.join(sorted(known)) or 'none'}"
            )
    for variant in study.variants:
        for name in study.tuned_names(variant):
            _check_reach(variant.parametrization, name, study.tuning.ranges[name])
        sets = study.sets_at_most(variant)
        if study.tuning.keep and study.tuning.keep[0] > sets:
            raise ValueError(
                f"keep: {study.tuning.keep[0]} sets are to go on, of {sets} that "
                f"{variant.label} tries"
            )


def _check_reach(given: ParametrizationSpec, name: str, reach: tuple[float, float]) -> None:
    """The ends of a range are values that the option may have."""
    options = catalogue.PARAMETRIZATION_ENTRIES[given.name].options
    option = next(option for option in options if option.name == name)
    for octave in reach:
        value = float(given.complete[name]) * 2.0**octave
        if not option.low <= value <= option.high:
            raise ValueError(
                f"ranges: {name} at octave {octave:g} is {value:g}, outside {option.low:g} to "
                f"{option.high:g}"
            )
