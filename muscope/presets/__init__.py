"""Studies that are ready to run, as data: one module each."""

from muscope.presets import demo

__all__ = ["demo"]
