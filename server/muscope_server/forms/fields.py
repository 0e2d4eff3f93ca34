"""The values of fields, as far as they can be read; what cannot be is a complaint and None."""

from collections.abc import Mapping
from typing import Any

from muscope.catalogue import Option
from muscope_server.forms.complaints import Complaints


class Fields:
    """What was typed, field by field."""

    def __init__(self, values: Mapping[str, str], complaints: Complaints) -> None:
        self._values = values
        self._complaints = complaints

    def has(self, name: str) -> bool:
        """Whether a box is ticked."""
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        """What stands in a field."""
        return self._values.get(name, default).strip()

    def texts(self, name: str) -> list[str]:
        """The entries of a list of numbers."""
        texts = self._values.get(name, "").replace(",", " ").split()
        if not texts:
            self._complaints.add(name, "at least one number is needed here", name)
        return texts

    def integers(self, name: str) -> list[int | None]:
        """A list of whole numbers."""
        texts = enumerate(self.texts(name))
        return [self._as_integer(name, text, f"{name}.{place}") for place, text in texts]

    def integer(self, name: str, path: str = "") -> int | None:
        """A whole number; `path` is its place in the spec."""
        return self._as_integer(name, self.text(name), path or name)

    def number(self, name: str, text: str, path: str) -> float | None:
        """The number in a text that stands in this field."""
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if abs(value) < float("inf"):
            return value
        self._complaints.add(name, f"a number is needed here, not {_shown(text)}", path)
        return None

    def options(self, prefix: str, known: tuple[Option, ...], path: str) -> dict[str, Any]:
        """The options of one choice, each of the type of its default.

        A form that was sent before an option came has no field of it.
        """
        found: dict[str, Any] = {}
        for option in known:
            name, place = f"{prefix}.option.{option.name}", f"{path}.options.{option.name}"
            self._complaints.trace(place, name)
            if option.silent and option.default is not False and name not in self._values:
                continue
            match option.default:
                case bool():
                    found[option.name] = self.has(name)
                case int():
                    value = self.integer(name, place)
                    found[option.name] = self._within(value, option, name, place)
                case float():
                    number = self.number(name, self.text(name), place)
                    found[option.name] = self._within(number, option, name, place)
                case str():
                    found[option.name] = self._values.get(name, option.default)
        return found

    def _within(self, value: float | None, option: Option, name: str, path: str) -> float | None:
        if value is None or option.allowed or option.low <= value <= option.high:
            return value
        message = f"between {option.low:g} and {option.high:g}, not {value:g}"
        self._complaints.add(name, message, path)
        return None

    def _as_integer(self, name: str, text: str, path: str) -> int | None:
        # a longer number is out of every range; int() would also take seconds over a megabyte
        if text.isascii() and text.removeprefix("-").isdigit() and len(text) <= 12:
            return int(text)
        self._complaints.add(name, f"a whole number is needed here, not {_shown(text)}", path)
        return None


def _shown(text: str) -> str:
    return repr(text[:40]) if text else "nothing"
