"""Every parametrization that muscope knows, by name."""

from muscope.theory.mup import MUP
from muscope.theory.rule import Parametrization
from muscope.theory.sp import SP

PARAMETRIZATIONS: dict[str, Parametrization] = {entry.name: entry for entry in (SP, MUP)}
