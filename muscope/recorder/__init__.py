"""Record one's own training loop: `muscope.Recorder`. No torch is imported before `watch`."""

from muscope.recorder.recorder import Recorder

__all__ = ["Recorder"]
