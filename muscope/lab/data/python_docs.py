"""The texts of `help()`, which ship with every CPython."""

from functools import cache

from muscope.lab.data.text import Text, of_bytes


@cache
def read() -> Text:
    """All topics in the order of their names, as bytes."""
    from pydoc_data.topics import topics  # 0.7 MB of text, only for those who read it

    text = "\n\n".join(topics[name] for name in sorted(topics))
    return of_bytes("the Python documentation", text.encode())
