"""A study from a YAML or JSON file; what is wrong with it is said with the path of the field."""

import json
import re
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec

MAX_BYTES = 1024 * 1024
"""A study is a page of text; what is longer is some other file."""

Location = tuple[int | str, ...]

# Where an unknown field was found decides which fields are allowed there.
_FIELDS_OF: dict[str, type[BaseModel]] = {
    "": StudySpec,
    "arms": Arm,
    "model": ModelSpec,
    "optimizers": OptimizerSpec,
    "parametrizations": ParametrizationSpec,
}
_SENTENCES: dict[str, str] = {
    "missing": "is missing",
    "int_type": "must be a whole number, got {input}",
    "int_from_float": "must be a whole number, got {input}",
    "int_parsing": "must be a whole number, got {input}",
    "enum": "must be {expected}, got {input}",
    "bool_type": "must be true or false, got {input}",
    "float_type": "must be a number, got {input}",
    "finite_number": "must be a finite number, got {input}",
    "string_type": "must be text, got {input}",
    "tuple_type": "must be a list, got {input}",
    "dict_type": "must be a mapping of names to values, got {input}",
    "model_type": "must be a mapping of fields, got {input}",
    "model_attributes_type": "must be a mapping of fields, got {input}",
    "greater_than": "must be greater than {gt}, got {input}",
    "greater_than_equal": "must be at least {ge}, got {input}",
    "less_than": "must be less than {lt}, got {input}",
    "less_than_equal": "must be at most {le}, got {input}",
    "literal_error": "must be {expected}, got {input}",
    "string_too_short": "must have at least {min_length} {characters}",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "needs at least {min_length} {entries}, got {actual_length}",
    "too_long": "takes at most {max_length} entries",
    "value_error": "{error}",
}


class SpecError(ValueError):
    """A study that cannot be used; `fields` holds (path, message), path empty for the whole."""

    def __init__(self, source: str, fields: Sequence[tuple[str, str]]) -> None:
        lines = (f"  {sentence(path, message)}" for path, message in fields)
        super().__init__("\n".join((f"{source} is not a study that muscope can run:", *lines)))
        self.fields = list(fields)


def sentence(path: str, message: str) -> str:
    """A fault as a person reads it: `arms.0.model` is `arms[0].model`."""
    spoken = re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", path)
    return f"{spoken}: {message}" if spoken else message


def read(path: Path) -> StudySpec:
    """The study in a YAML file (or JSON, when its name ends so), or SpecError."""
    return _study(str(path), lambda: _parse(path, _text(path)))


def from_yaml(text: str, source: str) -> StudySpec:
    """The study in a YAML text, or SpecError; `source` is what the message calls the text."""
    return _study(source, lambda: _StudyLoader(text).get_single_data())


def _study(source: str, parse: Callable[[], object]) -> StudySpec:
    try:
        return StudySpec.model_validate_json(json.dumps(parse(), default=str))
    except ValidationError as error:
        raise SpecError(source, explain(error)) from None
    except RecursionError:
        raise SpecError(source, [("", "nested too deeply")]) from None
    except yaml.MarkedYAMLError as error:
        raise SpecError(source, [("", _syntax(error))]) from None
    except (ValueError, TypeError, yaml.YAMLError) as error:
        raise SpecError(source, [("", _one_line(error))]) from None
    except OSError as error:
        raise SpecError(source, [("", f"cannot be read: {error.strerror}")]) from None


def explain(error: ValidationError) -> list[tuple[str, str]]:
    """Each fault of a study as (path of the field, what is wrong and what is allowed)."""
    details = error.errors(include_url=False)
    locations = [detail["loc"] for detail in details]
    found = {
        _path(detail["loc"]): message(detail)
        for detail in details
        if not _follows_from_another(detail, locations)
    }
    return list(found.items())


def _follows_from_another(detail: ErrorDetails, locations: Sequence[Location]) -> bool:
    """A list is also 'too short' when one of its entries is wrong: only the entry is of use."""
    here = detail["loc"]
    return detail["type"] == "too_short" and any(
        len(loc) > len(here) and loc[: len(here)] == here for loc in locations
    )


def _path(location: Location) -> str:
    return ".".join(str(part) for part in _without_union_branch(location))


def _without_union_branch(location: Location) -> Location:
    """An option's value may be of four types; pydantic names each as if it were a field."""
    return location[:-1] if _is_union_branch(location) else location


def _is_union_branch(location: Location) -> bool:
    return len(location) >= 3 and location[-3] == "options"


def message(detail: ErrorDetails) -> str:
    """What is wrong with a value, which it is and what is allowed."""
    given = _short(detail["input"])
    if _is_union_branch(detail["loc"]):
        return f"must be a number, true, false or one word, got {given}"
    if detail["type"] == "extra_forbidden":
        return f"unknown field; allowed: {', '.join(_allowed(detail['loc']))}"
    words = _SENTENCES.get(detail["type"], detail["msg"].replace("{", "{{").replace("}", "}}"))
    values = detail.get("ctx", {})
    is_one = values.get("min_length") == 1
    nouns = {
        "characters": "character" if is_one else "characters",
        "entries": "entry" if is_one else "entries",
    }
    return words.format(**nouns, **values, input=given)


def _allowed(location: Location) -> list[str]:
    names = [part for part in location[:-1] if isinstance(part, str)]
    return list(_FIELDS_OF[names[-1] if names else ""].model_fields)


def _short(value: object) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _syntax(error: yaml.MarkedYAMLError) -> str:
    """What YAML's own message says, with the line first and without its `<unicode string>`."""
    mark = error.problem_mark or error.context_mark
    place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return place + ", ".join(filter(None, (error.context, error.problem)))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).replace('in "<unicode string>", ', "at ").split())


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise ValueError(f"longer than {MAX_BYTES} bytes")
    return content.decode("utf-8")


def _parse(path: Path, text: str) -> object:
    if path.suffix.lower() == ".json":
        return json.loads(text, object_pairs_hook=_distinct)
    return _StudyLoader(text).get_single_data()


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping from pairs; the same name twice is refused, not silently overwritten."""
    mapping: dict[str, Any] = {}
    for name, value in pairs:
        if name in mapping:
            raise ValueError(f"the field {name!r} is there twice")
        mapping[name] = value
    return mapping


class _StudyLoader(yaml.SafeLoader):
    """YAML's plain values; 3e-3 is a number (as in YAML 1.2), no aliases, no field twice."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse aliases: with them a short file stands for a huge one."""
        if self.check_event(yaml.AliasEvent):
            raise ValueError("aliases (*name) are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Refuse the same field twice."""
        names = [self.construct_object(key, deep=True) for key, _ in node.value]
        _distinct([(str(name), None) for name in names])
        return super().construct_mapping(node, deep)


_StudyLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"),
    list("-+0123456789"),
)
