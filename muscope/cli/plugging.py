"""Plugins on the command line: those installed here, or what a server's workers say of theirs."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from muscope.plugins import here, known, names
from muscope.plugins.descriptions import Described

_MAY_NAME = re.compile(rf"{names.PACKAGE}/{names.PLAIN}", re.ASCII)


def use_installed() -> None:
    """Offer the plugins of this environment; say on stderr what is left out."""
    here.offer(lambda sentence: print(f"muscope: {sentence}", file=sys.stderr))


def names_any(study: Path) -> bool:
    """Whether a study's file may name an entry of a plugin; False where it cannot be read."""
    try:
        return bool(_MAY_NAME.search(study.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        return False  # who reads the study says what is wrong with its file


def learn(described: Sequence[dict[str, Any]]) -> None:
    """Offer what a server's workers have: a study can be read where no plugin is installed."""
    found = [Described.model_validate_json(json.dumps(one)) for one in described]
    known.learn(found)
    known.offer(one.name for one in found)
