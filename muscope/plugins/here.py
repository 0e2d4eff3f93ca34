"""The plugins that are installed in this environment, for who trains in this very process."""

from collections.abc import Callable

from muscope.plugins import known


def offer(tell: Callable[[str], None]) -> None:
    """Import the plugins installed here and offer what they describe; `tell` what is left out."""
    # a process without plugins waits for none of it
    from muscope.plugins import importing

    found = importing.find()
    if not found:
        return
    installed = importing.of_environment(found)
    known.offer(one.name for one in installed.described)
    for sentence in installed.refused:
        tell(sentence)
