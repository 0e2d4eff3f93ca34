"""What the operator's own packages add: models, parametrizations, optimizers, statistics, data.

A package says so with entry points of the group `muscope` (docs/how-to/write-a-plugin.md). An
object behind one describes itself as JSON, and what is no arithmetic it makes when it is asked.
"""

from collections.abc import Callable
from typing import Any


class PluginError(Exception):
    """A plugin that cannot be used, or failed: a sentence with its name."""


class Plugin:
    """An entry of a plugin: its kind, what makes it, and its description as keyword arguments.

    `make` is called by the process that trains: with the options for an optimizer, with width,
    depth and options for a model, with nothing for a dataset, with a tensor for a statistic. A
    parametrization is all arithmetic and has none.
    """

    def __init__(
        self, kind: str, make: Callable[..., Any] | None = None, **description: Any
    ) -> None:
        self.kind, self.make, self.description = kind, make, description

    def describe(self) -> dict[str, Any]:
        """All that others know of it, as JSON."""
        return {"kind": self.kind, **self.description}
