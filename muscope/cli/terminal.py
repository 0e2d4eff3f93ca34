"""The consoles of every command: as wide as their terminal, and no text in them is markup."""

import sys
from typing import TextIO

from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 100


def console(file: TextIO | None = None) -> Console:
    """A console on stdout unless it is another file; a file or pipe gets lines of 100 columns."""
    file = sys.stdout if file is None else file
    width = None if file.isatty() else WIDTH_WITHOUT_TERMINAL
    return Console(file=file, width=width, highlight=False, markup=False)


def plain(text: str) -> str:
    """Text of somebody's file on one line, without what would steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
