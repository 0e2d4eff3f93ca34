"""muscope (µScope): is my parametrization right?

    result = muscope.coordinate_check(build, widths=(64, 128, 256))

Whatever is taken from here is imported when it is first used: `import muscope` loads nothing.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from muscope.api import CheckResult, coordinate_check
    from muscope.recorder import Recorder

__version__ = "0.1.0"

__all__ = ["CheckResult", "Recorder", "__version__", "coordinate_check"]

_HOMES = {
    "CheckResult": "muscope.api",
    "Recorder": "muscope.recorder",
    "coordinate_check": "muscope.api",
}


def __getattr__(name: str) -> object:
    if name == "testing":
        return importlib.import_module("muscope.testing")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "testing"})
