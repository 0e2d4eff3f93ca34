"""How tensors of models of several depths are compared: by name, and of blocks only the last.

Models of two depths do not have the same tensors. Those outside of blocks are compared by their
names; of blocks only the last is compared with the last, as `blocks.last.residual`, which is the
stream that the readout is given. What counts blocks is the first number of a name whose largest
value depends on the depth.
"""

import re
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from muscope.vocabulary import TensorKind

LAST = "last"

Tensor: TypeAlias = tuple[int, TensorKind, str]
"""(depth, kind, name)."""

_NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")


def names(tensors: Iterable[Tensor]) -> dict[Tensor, str]:
    """What every tensor of every depth is called when depths are compared; "" of inner blocks."""
    tensors = dict.fromkeys(tensors)
    largest: dict[Tensor, int] = {}
    for depth, kind, name in tensors:
        for template, number in _templates(name):
            key = (depth, kind, template)
            largest[key] = max(largest.get(key, 0), number)
    counts = _differing(largest)
    found = {}
    for depth, kind, name in tensors:
        inner = [
            (template, number)
            for template, number in _templates(name)
            if (kind, template) in counts
        ]
        if not inner:
            found[depth, kind, name] = name
            continue
        template, number = inner[0]
        is_last = number == largest[depth, kind, template]
        found[depth, kind, name] = template.replace("*", LAST) if is_last else ""
    return found


def _templates(name: str) -> list[tuple[str, int]]:
    """The name with each of its numbers left out, and that number."""
    return [
        (f"{name[: match.start()]}*{name[match.end() :]}", int(match[0]))
        for match in _NUMBER.finditer(name)
    ]


def _differing(largest: Mapping[Tensor, int]) -> set[tuple[TensorKind, str]]:
    """The templates whose largest number depends on the depth."""
    by_template: dict[tuple[TensorKind, str], set[int]] = {}
    for (_, kind, template), number in largest.items():
        by_template.setdefault((kind, template), set()).add(number)
    return {key for key, numbers in by_template.items() if len(numbers) > 1}
