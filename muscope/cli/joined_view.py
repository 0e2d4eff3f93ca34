"""What a coordinate check and a sweep say together, for the terminal."""

from collections.abc import Iterator

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from muscope.verdicts.joined.types import Joined, Outcome

STYLES = {
    Outcome.BOTH_HOLD: "green",
    Outcome.TRANSFERS: "green",
    Outcome.UNDECIDED: "yellow",
    Outcome.ONLY_TRANSFER: "yellow",
}


def lines(joined: Joined) -> Group:
    """The outcome in a sentence, every reason with its numbers, and what to do."""
    style = STYLES.get(joined.outcome, "bold red")
    head = Text.assemble((joined.label, "bold"), "   ", (joined.sentence, style))
    return Group(head, *_reasons(joined), Text())


def _reasons(joined: Joined) -> Iterator[Padding]:
    for number, reason in enumerate(joined.reasons, start=1):
        yield Padding(Text(f"{number}. {reason.title}: {reason.evidence}"), (0, 0, 0, 2))
        yield Padding(Text(f"do: {reason.advice} ({reason.source})", "dim"), (0, 0, 0, 5))
    if joined.advice:
        yield Padding(Text(joined.advice, "dim"), (0, 0, 0, 2))
