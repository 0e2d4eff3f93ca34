"""What is wrong with a form, by field, and which field each part of the spec came from."""

from collections.abc import Mapping

from pydantic import ValidationError

from muscope import spec_file

MOST_COMPLAINTS = 4
"""Of one field; a list of a hundred wrong entries is not explained a hundred times."""


class FormErrors(ValueError):
    """What was typed makes no spec; `errors` says why, by field."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        super().__init__("; ".join(errors.values()))
        self.errors = dict(errors)


class Complaints:
    """Collects what is wrong; each thing is said once, beside the field it comes from."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}
        self._found: dict[str, list[str]] = {}
        self._explained: set[str] = set()

    @property
    def errors(self) -> dict[str, str]:
        """What is wrong, by field; of a long list of mistakes the first few."""
        return {name: "; ".join(found) for name, found in self._found.items()}

    def add(self, name: str, message: str, path: str | None = None) -> None:
        """Note what is wrong with a field; of the value at `path` nothing more is to be said."""
        found = self._found.setdefault(name, [])
        if message not in found and len(found) < MOST_COMPLAINTS:
            found.append(message)
        if path is not None:
            self.settle(path)

    def settle(self, path: str) -> None:
        """What the spec says of this path follows from something that was said already."""
        self._explained.add(path)

    def trace(self, path: str, name: str) -> None:
        """What the spec has at `path` comes from this field."""
        self._fields[path] = name

    def explain(self, error: ValidationError) -> None:
        """Note what is wrong with the spec, beside the fields it comes from."""
        for path, message in spec_file.explain(error):
            if path not in self._explained:
                self.add(self._field(path), message)

    def _field(self, path: str) -> str:
        """The field of the longest known path that leads to the error; "" is the whole study."""
        parts = path.split(".")
        for length in range(len(parts), 0, -1):
            name = self._fields.get(".".join(parts[:length]))
            if name is not None:
                return name
        return {"arms": "models"}.get(parts[0], parts[0])
