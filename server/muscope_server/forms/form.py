"""The form as the page shows it: fields with what was typed, and what is wrong beside them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from muscope import catalogue
from muscope.catalogue import Option
from muscope.catalogue.registry import plain
from muscope.catalogue.statistics import STATISTICS, StatisticEntry
from muscope.tuning import Method
from muscope_server.forms import values

ORDER = (
    "", "extends", "preset", "name", "kind", "models", "model", "parametrizations",
    "parametrization",
    "widths", "depths", "batch_sizes", "base_width", "base_depth", "seeds", "steps", "stop_early",
    "record", "record_every", "statistics", "statistic", "batches", "octaves", "search", "held_out",
    "check", "sequence_lengths", "step_counts", "extend_octaves", "tuning", "yaml",
)  # fmt: skip
"""The groups of fields as the page shows them."""
RECORDS = {
    "activations": "activations: sizes and change",
    "standard": "standard: weights, gradients and updates too",
    "full": "full: contributions, spectral norms and alignment too",
}
"""What a study can record, as its field says it; a test holds that none is missing."""
KINDS = {
    "coordinate_check": "coordinate check: does any tensor grow or shrink with width?",
    "lr_transfer": "learning-rate transfer: does the best rate stay where it is?",
    "hyperparameter_search": "hyperparameter search: which rate and multipliers are best?",
}
"""What a study can ask, in the same way."""
METHODS: dict[Method, str] = {
    "independent": "independent: the rates, then each multiplier alone, then the best together",
    "pairwise": "pairwise: every two at all of their values",
    "random": "random: so many samples",
    "sobol": "sobol: so many samples, a power of two, spread evenly",
    "halton": "halton: so many samples, spread evenly",
}
"""How sets of hyperparameters are found, in the same way."""
SEARCHES = {
    "full": "full: every rate at every width",
    "adaptive": "adaptive: at larger widths only those around the predicted optimum",
}
"""Which rates are trained, in the same way."""
BATCHES = {
    "fixed": "fixed: one batch for all",
    "fresh": "fresh: another batch at every step, in an order that the seed decides",
}
"""Which batches members see, in the same way."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields as they were typed, and what is wrong with them; "" keys general errors.

    The fields that were `changed` for whoever fills it in stand out.
    """

    values: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)
    changed: frozenset[str] = frozenset()

    def value(self, name: str) -> str:
        """What stands in a field."""
        return self.values.get(name, "")

    def error(self, name: str) -> str:
        """What is wrong with a field, or nothing."""
        return self.errors.get(name, "")

    def is_chosen(self, name: str, option: Option) -> bool:
        """Whether an option stands otherwise than by default."""
        return self.value(name) != values.text(option.default)

    @property
    def problems(self) -> list["Problem"]:
        """What is wrong with which field, in the order in which the page shows the fields."""
        names = sorted(self.errors, key=lambda name: ORDER.index(name.split(".")[0]))
        return [Problem(name, title(name), self.errors[name]) for name in names]

    def has_errors_in(self, prefix: str) -> bool:
        """Whether something is wrong below a name, so that it must not stay folded."""
        return any(name.startswith(f"{prefix}.") for name in self.errors)

    @property
    def records(self) -> Mapping[str, str]:
        """How much can be recorded, for the template."""
        return RECORDS

    @property
    def kinds(self) -> Mapping[str, str]:
        """What can be asked, for the template."""
        return KINDS

    @property
    def searches(self) -> Mapping[str, str]:
        """Which rates can be trained, for the template."""
        return SEARCHES

    @property
    def methods(self) -> Mapping[Method, str]:
        """How sets of hyperparameters can be found, for the template."""
        return METHODS

    @property
    def batches(self) -> Mapping[str, str]:
        """Which batches can be asked for, for the template."""
        return BATCHES

    @property
    def models(self) -> Iterable[catalogue.ModelEntry]:
        """What can be chosen, for the template."""
        return catalogue.MODELS.values()

    @property
    def optimizers(self) -> Iterable[catalogue.OptimizerEntry]:
        """What can be chosen, for the template."""
        return catalogue.OPTIMIZERS.values()

    @property
    def statistics(self) -> Sequence[StatisticEntry]:
        """Those of plugins, for the template."""
        return tuple(STATISTICS.values())

    @property
    def parametrizations(self) -> Iterable[catalogue.ParametrizationEntry]:
        """What can be chosen, for the template."""
        return catalogue.PARAMETRIZATION_ENTRIES.values()


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field: its id in the page, its name, and a sentence."""

    field: str
    title: str
    message: str


def title(name: str) -> str:
    """A field as its label says it: `model.gpt.batch_size` is `gpt batch size`."""
    registries = (catalogue.MODELS, catalogue.OPTIMIZERS, catalogue.PARAMETRIZATION_ENTRIES)
    for full in (full for registry in registries for full in registry.offered()):
        name = name.replace(full, plain(full))
    parts = [part for part in name.split(".") if part not in ("model", "option", "parametrization")]
    return " ".join(parts).replace("_", " ") or "study"
