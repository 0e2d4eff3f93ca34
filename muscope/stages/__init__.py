"""What a study does after it has seen results: the next runs, as pure arithmetic (decision 14)."""

from muscope.stages.following import Results, next_stage

__all__ = ["Results", "next_stage"]
