"""HTML read for its meaning, with the standard library's parser."""

from collections.abc import Iterable
from html.parser import HTMLParser

VOID = {"meta", "link", "input", "br", "img", "hr"}


class Soup(HTMLParser):
    """Collects what tests ask of a page: texts, links, inputs, elements by id."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.figures: list[str] = []
        self.inputs: dict[str, str] = {}
        self.checked: set[str] = set()
        self._paths: list[tuple[str, str]] = []
        self._pieces: list[tuple[tuple[tuple[str, str], ...], str]] = []  # (path, text)
        self._opened: list[tuple[str, ...]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {name: value or "" for name, value in attrs}
        self._opened.append((*(name for name, _ in self._paths), tag))
        if "href" in found and tag == "a":
            self.links.append(found["href"])
        if "data-figure" in found:
            self.figures.append(found["data-figure"])
        if tag == "input" and found.get("type") == "checkbox":
            if "checked" in found:
                self.checked.add(found["name"])
                self.inputs[found["name"]] = found["value"]
        elif tag == "input" and "name" in found:
            self.inputs[found["name"]] = found.get("value", "")
        if tag not in VOID:
            self._paths.append((tag, found.get("id", "")))

    def handle_endtag(self, tag: str) -> None:
        while self._paths and self._paths.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not any(tag in ("script", "style") for tag, _ in self._paths):
            self._pieces.append((tuple(self._paths), data))

    @property
    def text(self) -> str:
        """All that can be read, with single spaces."""
        return _joined(data for _, data in self._pieces)

    def first(self, tag: str) -> str:
        """The text of the first element of this name."""
        texts: list[str] = []
        for path, data in self._pieces:
            if any(name == tag for name, _ in path):
                texts.append(data)
            elif texts:
                break
        return _joined(texts)

    def by_id(self, wanted: str) -> str:
        """The text of an element; keeps line breaks, for preformatted text."""
        pieces = [d for path, d in self._pieces if any(found == wanted for _, found in path)]
        return "".join(pieces).strip()

    def count(self, selector: str) -> int:
        """How many elements there are for `tag` or `ancestor tag`."""
        *ancestors, tag = selector.split()
        return sum(
            path[-1] == tag and all(name in path for name in ancestors) for path in self._opened
        )


def _joined(texts: Iterable[str]) -> str:
    return " ".join(" ".join(texts).split())
