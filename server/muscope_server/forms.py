"""The form of a new study: text in, a spec or errors beside their fields out.

Nothing typed is lost: the form keeps every value as text, and errors are keyed by field name.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from muscope import catalogue, spec_file
from muscope.catalogue import Option, OptionValue
from muscope.presets import demo
from muscope.reports.html import spec_yaml
from muscope.spec import StudySpec

LONGEST_YAML = 32_768
"""A study is a page of text; parsing a megabyte of YAML would take seconds."""

MOST_COMPLAINTS = 4
"""Of one field; a list of a hundred wrong entries is not explained a hundred times."""
ORDER = (
    "", "name", "models", "model", "parametrizations", "parametrization", "widths", "depths",
    "base_width", "base_depth", "seeds", "steps", "yaml",
)  # fmt: skip
"""The groups of fields as the page shows them."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields as they were typed, and what is wrong with them; "" keys general errors."""

    values: Mapping[str, str]
    errors: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str) -> str:
        """What stands in a field."""
        return self.values.get(name, "")

    def error(self, name: str) -> str:
        """What is wrong with a field, or nothing."""
        return self.errors.get(name, "")

    @property
    def problems(self) -> list["Problem"]:
        """What is wrong with which field, in the order in which the page shows the fields."""
        names = sorted(self.errors, key=lambda name: ORDER.index(name.split(".")[0]))
        return [Problem(name, title(name), self.errors[name]) for name in names]

    def has_errors_in(self, prefix: str) -> bool:
        """Whether something is wrong below a name, so that it must not stay folded."""
        return any(name.startswith(f"{prefix}.") for name in self.errors)

    @property
    def models(self) -> Iterable[catalogue.ModelEntry]:
        """What can be chosen, for the template."""
        return catalogue.MODELS.values()

    @property
    def optimizers(self) -> Iterable[catalogue.OptimizerEntry]:
        """What can be chosen, for the template."""
        return catalogue.OPTIMIZERS.values()

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


class FormErrors(ValueError):
    """What was typed makes no spec; `errors` says why, by field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = dict(errors)


def blank() -> Form:
    """The form as it opens: one small transformer in SP and µP, ready to submit."""
    spec = demo.demo()
    first = spec.model_copy(update={"name": "Coordinate check", "arms": spec.arms[:1]})
    return filled(first)


def filled(spec: StudySpec) -> Form:
    """The form that describes this study; as YAML where the fields cannot say it."""
    values = from_spec(spec)
    try:
        same = parse(values) == spec
    except FormErrors:
        same = False
    return Form(values if same else values | {"yaml": spec_yaml(spec)})


def title(name: str) -> str:
    """A field as its label says it: `model.gpt.batch_size` is `gpt batch size`."""
    parts = [part for part in name.split(".") if part not in ("model", "option", "parametrization")]
    return " ".join(parts).replace("_", " ") or "study"


def from_spec(spec: StudySpec) -> dict[str, str]:
    """The fields that describe a spec: one model once, one set of options per optimizer."""
    values = {
        "name": spec.name,
        "widths": ", ".join(map(str, spec.widths)),
        "depths": ", ".join(map(str, spec.depths)),
        "base_width": str(spec.base_width),
        "base_depth": str(spec.base_depth),
        "seeds": str(spec.seeds),
        "steps": str(spec.steps),
        "yaml": "",
    }
    values |= _defaults()
    for arm in spec.arms:
        prefix = f"model.{arm.model.name}"
        values |= {prefix: "on", f"{prefix}.batch_size": str(arm.model.batch_size)}
        values |= _option_values(prefix, arm.model.options)
        for name in {optimizer.name for optimizer in arm.optimizers}:
            same = [entry for entry in arm.optimizers if entry.name == name]
            rates = ", ".join(repr(entry.learning_rate) for entry in same)
            values |= {f"{prefix}.{name}": "on", f"{prefix}.{name}.learning_rates": rates}
            values |= _option_values(f"{prefix}.{name}", same[0].options)
    for entry in spec.parametrizations:
        values[f"parametrization.{entry.name}"] = "on"
        values |= _option_values(f"parametrization.{entry.name}", entry.options)
    return _only_true(values)


def parse(values: Mapping[str, str]) -> StudySpec:
    """The spec that the fields describe, or FormErrors; a pasted YAML takes precedence."""
    text = values.get("yaml", "").strip()
    if text:
        return _parse_yaml(text)
    reader = _Reader(values)
    data = reader.study()
    try:
        spec = StudySpec.model_validate_json(json.dumps(data))
    except ValidationError as error:
        reader.explain(error)
        raise FormErrors(reader.errors) from error
    if reader.errors:
        raise FormErrors(reader.errors)
    return spec


def hints(spec: StudySpec) -> list[str]:
    """What is allowed but hardly meant; the plan says it."""
    if spec.base_width in spec.widths:
        return []
    return [
        f"base width {spec.base_width} is none of the widths, so µP equals SP at none of them; "
        "leave the field empty for the smallest"
    ]


def _parse_yaml(text: str) -> StudySpec:
    if len(text) > LONGEST_YAML:
        raise FormErrors({"yaml": f"longer than {LONGEST_YAML} characters; no study needs that"})
    try:
        return spec_file.from_yaml(text, "the YAML")
    except spec_file.SpecError as error:
        sentences = (f"{path}: {message}" if path else message for path, message in error.fields)
        raise FormErrors({"yaml": "; ".join(sentences)}) from error


class _Reader:
    """Reads fields into spec data, remembering which field each path came from."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = values
        self.fields: dict[str, str] = {}
        self._complaints: dict[str, list[str]] = {}
        self._explained: set[str] = set()

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by field; of a long list of mistakes the first few."""
        return {name: "; ".join(found) for name, found in self._complaints.items()}

    def _complain(self, name: str, message: str, path: str | None = None) -> None:
        """Note what is wrong with a field; of the value at `path` nothing more is to be said."""
        found = self._complaints.setdefault(name, [])
        if message not in found and len(found) < MOST_COMPLAINTS:
            found.append(message)
        if path is not None:
            self._explained.add(path)

    def study(self) -> dict[str, Any]:
        """The data of the spec, as far as the fields can be read."""
        data: dict[str, Any] = {
            "name": self.values.get("name", "").strip(),
            "arms": self._arms(),
            "parametrizations": self._parametrizations(),
            "widths": self._integers("widths"),
            "depths": self._integers("depths"),
            "seeds": self._integer("seeds"),
            "steps": self._integer("steps"),
        }
        for name in ("base_width", "base_depth"):
            if self.values.get(name, "").strip():
                data[name] = self._integer(name)
        self._check_bases(data)
        for arm in data["arms"]:
            self._check_widths(data, **arm["model"])
        return data

    def explain(self, error: ValidationError) -> None:
        """Note what is wrong with the spec, beside the fields it comes from."""
        for path, message in spec_file.explain(error):
            if path not in self._explained:
                self._complain(self._field(path), message)

    # A spec compares its fields only when each is right by itself. A person wants to hear
    # everything at once, so that the next two say the same of what could be read.

    def _check_bases(self, data: Mapping[str, Any]) -> None:
        for base, grid in (("base_width", "widths"), ("base_depth", "depths")):
            largest = max(filter(None, data[grid]), default=None)
            if data.get(base) and largest and data[base] > largest:
                self._complain(base, f"larger than every one of the {grid} (up to {largest})", "")

    def _check_widths(
        self, data: Mapping[str, Any], name: str, options: dict[str, Any], **_: object
    ) -> None:
        entry = catalogue.MODELS[name]
        if None in options.values():
            return
        for width in filter(None, [*data["widths"], data.get("base_width")]):
            complaint = entry.check(width, options)
            if complaint:
                field = "widths" if width in data["widths"] else "base_width"
                self._complain(field, f"{entry.title}: {complaint}", "")
                self._mark_options(entry, complaint)

    def _mark_options(self, entry: catalogue.ModelEntry, complaint: str) -> None:
        """A complaint about widths that speaks of an option is shown beside that one too."""
        for option in entry.options:
            if option.name.replace("_", " ") in complaint:
                self._complain(f"model.{entry.name}.option.{option.name}", complaint)

    def _field(self, path: str) -> str:
        """The field of the longest known path that leads to the error; "" is the whole study."""
        parts = path.split(".")
        for length in range(len(parts), 0, -1):
            name = self.fields.get(".".join(parts[:length]))
            if name is not None:
                return name
        return {"arms": "models"}.get(parts[0], parts[0])

    def _arms(self) -> list[dict[str, Any]]:
        chosen = [name for name in catalogue.MODELS if f"model.{name}" in self.values]
        if not chosen:
            self._complain("models", "choose at least one model", "arms")
        return [self._arm(number, name) for number, name in enumerate(chosen)]

    def _arm(self, number: int, name: str) -> dict[str, Any]:
        prefix, path = f"model.{name}", f"arms.{number}.model"
        self.fields[path] = prefix
        self.fields[f"{path}.batch_size"] = f"{prefix}.batch_size"
        self.fields[f"arms.{number}.optimizers"] = f"{prefix}.optimizers"
        model = {
            "name": name,
            "batch_size": self._integer(f"{prefix}.batch_size", f"{path}.batch_size"),
            "options": self._options(prefix, catalogue.MODELS[name].options, path),
        }
        optimizers: list[dict[str, Any]] = []
        entries = catalogue.OPTIMIZERS.values()
        chosen = [entry for entry in entries if f"{prefix}.{entry.name}" in self.values]
        for entry in chosen:
            self._optimizer(optimizers, entry, prefix, number)
        if not chosen:
            self._complain(f"{prefix}.optimizers", "choose at least one optimizer")
        if not optimizers:
            self._explained.add(f"arms.{number}.optimizers")
        return {"model": model, "optimizers": optimizers}

    def _optimizer(
        self,
        found: list[dict[str, Any]],
        entry: catalogue.OptimizerEntry,
        prefix: str,
        arm: int,
    ) -> None:
        """Append one optimizer per learning rate."""
        name = f"{prefix}.{entry.name}"
        for text in self._texts(f"{name}.learning_rates"):
            path = f"arms.{arm}.optimizers.{len(found)}"
            self.fields[path] = f"{name}.learning_rates"
            rate = self._as_number(f"{name}.learning_rates", text, f"{path}.learning_rate")
            options = self._options(name, entry.options, path)
            found.append({"name": entry.name, "learning_rate": rate, "options": options})

    def _parametrizations(self) -> list[dict[str, Any]]:
        entries = catalogue.PARAMETRIZATION_ENTRIES
        chosen = [name for name in entries if f"parametrization.{name}" in self.values]
        if not chosen:
            self._complain(
                "parametrizations", "choose at least one parametrization", "parametrizations"
            )
        return [
            {
                "name": name,
                "options": self._options(
                    f"parametrization.{name}", entries[name].options, f"parametrizations.{number}"
                ),
            }
            for number, name in enumerate(chosen)
        ]

    def _options(self, prefix: str, known: tuple[Option, ...], path: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for option in known:
            name, place = f"{prefix}.option.{option.name}", f"{path}.options.{option.name}"
            self.fields[place] = name
            match option.default:
                case bool():
                    found[option.name] = name in self.values
                case int():
                    value = self._integer(name, place)
                    found[option.name] = self._within(value, option, name, place)
                case float():
                    number = self._as_number(name, self.values.get(name, "").strip(), place)
                    found[option.name] = self._within(number, option, name, place)
                case str():
                    found[option.name] = self.values.get(name, option.default)
        return found

    def _within(self, value: float | None, option: Option, name: str, path: str) -> float | None:
        if value is None or option.allowed or option.low <= value <= option.high:
            return value
        self._complain(name, f"between {option.low:g} and {option.high:g}, not {value:g}", path)
        return None

    def _integers(self, name: str) -> list[int | None]:
        texts = enumerate(self._texts(name))
        return [self._as_integer(name, text, f"{name}.{place}") for place, text in texts]

    def _integer(self, name: str, path: str = "") -> int | None:
        return self._as_integer(name, self.values.get(name, "").strip(), path or name)

    def _as_integer(self, name: str, text: str, path: str) -> int | None:
        # a longer number is out of every range; int() would also take seconds over a megabyte
        if text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 12:
            return int(text)
        self._complain(name, f"a whole number is needed here, not {_shown(text)}", path)
        return None

    def _as_number(self, name: str, text: str, path: str) -> float | None:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if abs(value) < float("inf"):
            return value
        self._complain(name, f"a number is needed here, not {_shown(text)}", path)
        return None

    def _texts(self, name: str) -> list[str]:
        texts = self.values.get(name, "").replace(",", " ").split()
        if not texts:
            self._complain(name, "at least one number is needed here", name)
        return texts


def _shown(text: str) -> str:
    return repr(text[:40]) if text else "nothing"


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
    return {f"{prefix}.option.{name}": _text(value) for name, value in options.items()}


def _text(value: OptionValue) -> str:
    if isinstance(value, bool):
        return "on" if value else ""
    return value if isinstance(value, str) else repr(value)


def _only_true(values: Mapping[str, str]) -> dict[str, str]:
    """A checkbox that is off is absent, as in a posted form."""
    return {name: value for name, value in values.items() if value}
