"""The fields of the form as a spec, or everything that is wrong with them."""

import json
import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from muscope import catalogue, spec_file
from muscope.catalogue.statistics import STATISTICS
from muscope.spec import StudySpec
from muscope.tuning import SAMPLED
from muscope_server.forms import comparisons
from muscope_server.forms.complaints import Complaints, FormErrors
from muscope_server.forms.fields import Fields

_NUMBER = r"([+-]?\d{1,3}(?:\.\d{1,6})?)"
RANGE = re.compile(rf"(\w{{1,80}})\s+{_NUMBER}(?:\s+to)?\s+{_NUMBER}", re.ASCII)
"""A multiplier with the octaves between which it is searched for."""

LONGEST_YAML = 32_768
"""A study is a page of text; parsing a megabyte of YAML would take seconds."""


def parse(values: Mapping[str, str]) -> StudySpec:
    """The spec that the fields describe, or FormErrors; a pasted YAML takes precedence."""
    text = values.get("yaml", "").strip()
    if text:
        return _parse_yaml(text)
    complaints = Complaints()
    data = _Reader(Fields(values, complaints), complaints).study()
    try:
        spec = StudySpec.model_validate_json(json.dumps(data))
    except ValidationError as error:
        complaints.explain(error)
        raise FormErrors(complaints.errors) from error
    if complaints.errors:
        raise FormErrors(complaints.errors)
    return spec


def _parse_yaml(text: str) -> StudySpec:
    if len(text) > LONGEST_YAML:
        raise FormErrors({"yaml": f"longer than {LONGEST_YAML} characters; no study needs that"})
    try:
        return spec_file.from_yaml(text, "the YAML")
    except spec_file.SpecError as error:
        sentences = (spec_file.sentence(path, message) for path, message in error.fields)
        raise FormErrors({"yaml": "; ".join(sentences)}) from error


class _Reader:
    """Puts the data of a spec together, and says which field each path came from."""

    def __init__(self, fields: Fields, complaints: Complaints) -> None:
        self._fields = fields
        self._complaints = complaints

    def study(self) -> dict[str, Any]:
        """The data of the spec, as far as the fields can be read."""
        fields = self._fields
        data: dict[str, Any] = {
            "name": fields.text("name"),
            "arms": self._arms(),
            "parametrizations": self._parametrizations(),
            "widths": fields.integers("widths"),
            "depths": fields.integers("depths"),
            "seeds": fields.integer("seeds"),
            "steps": fields.integer("steps"),
            "record": fields.text("record", "activations"),
            "batches": fields.text("batches", "fixed"),
            "stop_early": fields.has("stop_early"),
        }
        statistics = [name for name in STATISTICS if fields.has(f"statistic.{name}")]
        if statistics:
            data["statistics"] = statistics
        if fields.text("extends"):
            data["extends"] = fields.text("extends")
        if fields.text("from_preset"):
            data["preset"] = fields.text("from_preset")
            self._complaints.trace("preset", "preset")
        for name in ("base_width", "base_depth"):
            if fields.text(name):
                data[name] = fields.integer(name)
        if fields.text("batch_sizes"):
            data["batch_sizes"] = fields.integers("batch_sizes")
        if fields.text("record_every"):
            data["record_every"] = fields.integer("record_every")
        kind = fields.text("kind", "coordinate_check")
        if kind != "coordinate_check":
            is_search = kind == "hyperparameter_search"
            data |= self._search() if is_search else self._transfer()
            data.pop("statistics", None)
            data.pop("record_every", None)
            if "step_counts" in data:
                del data["steps"]  # the largest of them
            for name in ("record", "batches", "stop_early"):
                del data[name]
        comparisons.check(data, self._complaints)
        return data

    def _transfer(self) -> dict[str, Any]:
        """What only a learning-rate study has."""
        fields = self._fields
        octaves = enumerate(fields.texts("octaves"))
        check = {"check": self._check()} if fields.has("check") else {}
        return {
            **check,
            **self._axes(),
            "kind": fields.text("kind"),
            "octaves": [fields.number("octaves", one, f"octaves.{n}") for n, one in octaves],
            "search": fields.text("search", "full"),
            "held_out": fields.integer("held_out"),
        }

    def _search(self) -> dict[str, Any]:
        """What only a hyperparameter search has."""
        fields = self._fields
        for name in ("method", "ranges", "samples", "draw", "spacing", "keep"):
            self._complaints.trace(f"tuning.{name}", f"tuning.{name}")
        self._complaints.trace("tuning", "tuning.method")
        octaves = enumerate(fields.texts("octaves"))
        tuning: dict[str, Any] = {
            "method": fields.text("tuning.method", "independent"),
            "ranges": self._ranges(),
            "keep": fields.integers("tuning.keep"),
        }
        if tuning["method"] in SAMPLED:
            tuning["samples"] = fields.integer("tuning.samples")
            tuning["draw"] = fields.integer("tuning.draw")
        else:
            text = fields.text("tuning.spacing", "1")
            tuning["spacing"] = fields.number("tuning.spacing", text, "tuning.spacing")
        return {
            "kind": fields.text("kind"),
            "octaves": [fields.number("octaves", one, f"octaves.{n}") for n, one in octaves],
            "held_out": fields.integer("held_out"),
            "tuning": tuning,
        }

    def _ranges(self) -> dict[str, tuple[float, float]]:
        """`alpha_res -2 to 2, alpha_ffn_act -1 to 1` as names with their octaves."""
        found: dict[str, tuple[float, float]] = {}
        text = self._fields.text("tuning.ranges")
        for entry in filter(None, map(str.strip, re.split(r"[,\n]", text))):
            parsed = RANGE.fullmatch(entry)
            if parsed is None:
                said = f"write each as `name lowest to highest`, not {entry[:40]!r}"
                self._complaints.add("tuning.ranges", said, "tuning.ranges")
            else:
                name, low, high = parsed.groups()
                found[name] = (float(low), float(high))
        return found

    def _axes(self) -> dict[str, Any]:
        """What a rate may transfer over beside the grid of every study, and how far it goes on."""
        names = ("sequence_lengths", "step_counts")
        found: dict[str, Any] = {
            name: self._fields.integers(name) for name in names if self._fields.text(name)
        }
        if self._fields.text("extend_octaves"):
            found["extend_octaves"] = self._fields.integer("extend_octaves")
        return found

    def _check(self) -> dict[str, Any]:
        """The coordinate check beside the sweep."""
        fields = self._fields
        for name in ("seeds", "steps", "record"):
            self._complaints.trace(f"check.{name}", f"check.{name}")
        steps = {"steps": fields.integer("check.steps")} if fields.text("check.steps") else {}
        return {
            "seeds": fields.integer("check.seeds"),
            "record": fields.text("check.record", "activations"),
            **steps,
        }

    def _arms(self) -> list[dict[str, Any]]:
        chosen = [name for name in catalogue.MODELS if self._fields.has(f"model.{name}")]
        if not chosen:
            self._complaints.add("models", "choose at least one model", "arms")
        return [self._arm(number, name) for number, name in enumerate(chosen)]

    def _arm(self, number: int, name: str) -> dict[str, Any]:
        prefix, path = f"model.{name}", f"arms.{number}.model"
        self._complaints.trace(path, prefix)
        self._complaints.trace(f"{path}.batch_size", f"{prefix}.batch_size")
        model = {
            "name": name,
            "batch_size": self._fields.integer(f"{prefix}.batch_size", f"{path}.batch_size"),
            "options": self._fields.options(prefix, catalogue.MODELS[name].options, path),
        }
        return {"model": model, "optimizers": self._optimizers(prefix, number)}

    def _optimizers(self, prefix: str, arm: int) -> list[dict[str, Any]]:
        name, path = f"{prefix}.optimizers", f"arms.{arm}.optimizers"
        self._complaints.trace(path, name)
        entries = catalogue.OPTIMIZERS.values()
        chosen = [entry for entry in entries if self._fields.has(f"{prefix}.{entry.name}")]
        found: list[dict[str, Any]] = []
        for entry in chosen:
            self._optimizer(found, entry, prefix, path)
        if not chosen:
            self._complaints.add(name, "choose at least one optimizer")
        if not found:
            self._complaints.settle(path)
        return found

    def _optimizer(
        self,
        found: list[dict[str, Any]],
        entry: catalogue.OptimizerEntry,
        prefix: str,
        optimizers: str,
    ) -> None:
        """Append one optimizer per learning rate."""
        name = f"{prefix}.{entry.name}"
        for text in self._fields.texts(f"{name}.learning_rates"):
            path = f"{optimizers}.{len(found)}"
            self._complaints.trace(path, f"{name}.learning_rates")
            rate = self._fields.number(f"{name}.learning_rates", text, f"{path}.learning_rate")
            options = self._fields.options(name, entry.options, path)
            found.append({"name": entry.name, "learning_rate": rate, "options": options})

    def _parametrizations(self) -> list[dict[str, Any]]:
        entries = catalogue.PARAMETRIZATION_ENTRIES
        chosen = [name for name in entries if self._fields.has(f"parametrization.{name}")]
        if not chosen:
            message = "choose at least one parametrization"
            self._complaints.add("parametrizations", message, "parametrizations")
        return [
            {
                "name": name,
                "options": self._fields.options(
                    f"parametrization.{name}", entries[name].options, f"parametrizations.{number}"
                ),
            }
            for number, name in enumerate(chosen)
        ]
