"""The file in which a user corrects roles: YAML or JSON, a pattern of names and its role."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import yaml

from muscope.own_model.facts import pattern
from muscope.own_model.roles import TIED, WEIGHT_ROLES, OwnRole
from muscope.own_model.tensors import ACTIVATION_WORDS, IGNORE, OwnTensor

MAX_BYTES = 1024 * 1024
WORDS = (*(role.value for role in WEIGHT_ROLES), TIED)

ACTIVATIONS = "activations"
"""The key of the part about activations, which an audit does not read."""

_HEADER = """\
# The role of every parameter, as its growing dimensions say it. Correct what is wrong and give
# the file to `muscope audit --roles`; lines that are right may be deleted. * stands for any text.
# embedding: only fan_out grows; hidden: both; output: only fan_in; vector: biases and gains;
# scalar: nothing grows; tied: embedding and readout in one tensor.
# What stands under activations is what `muscope check` measures; ignore: shown, not judged.
"""


def read(path: Path, names: Iterable[str]) -> dict[str, str]:
    """The role's word of every parameter that the file names; ValueError with a sentence."""
    given = {key: word for key, word in _mapping(path).items() if key != ACTIVATIONS}
    return _matched(path, given, list(names), WORDS, "parameter")


def read_activations(path: Path, names: Iterable[str]) -> dict[str, str]:
    """The same of every activation, from the part of the file that is about them."""
    given = _mapping(path).get(ACTIVATIONS) or {}
    if not isinstance(given, dict):
        raise ValueError(f"{path}: {ACTIVATIONS} must map names of activations to roles")
    return _matched(path, given, list(names), ACTIVATION_WORDS, "activation")


def _matched(
    path: Path, given: Mapping[object, object], known: list[str], words: Sequence[str], what: str
) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, word in given.items():
        if word not in words:
            raise ValueError(f"{path}: {key}: must be one of {', '.join(words)}, got {word!r}")
        matching = [name for name in known if fnmatchcase(name, str(key))]
        if not matching:
            raise ValueError(f"{path}: the model has no {what} {key!r}{_like(str(key), known)}")
        found.update(dict.fromkeys(matching, str(word)))
    return found


def write(path: Path, roles: Mapping[str, OwnRole], tensors: Sequence[OwnTensor] = ()) -> None:
    """A file to start from: one line for every kind of parameter, and of activation."""
    lines: dict[str, object] = {pattern(name): role.word for name, role in roles.items()}
    if tensors:
        lines[ACTIVATIONS] = {
            pattern(tensor.name): tensor.role.value if tensor.is_judged else IGNORE
            for tensor in tensors
        }
    text = yaml.safe_dump(lines, sort_keys=False, allow_unicode=True)
    path.write_text(_HEADER + text, encoding="utf-8")


def _mapping(path: Path) -> dict[object, object]:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES} bytes: no roles file is")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is neither YAML nor JSON: {error}") from error
    if not isinstance(data, dict):
        raise ValueError(f"{path} must map parameter names to roles, such as 'lm_head.*: output'")
    return data


def _like(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, [*known, *map(pattern, known)], n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
