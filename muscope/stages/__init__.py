"""What a study does after it has seen results: the next runs, as pure arithmetic (decision 14)."""

from muscope.stages.following import Results, next_stage
from muscope.stages.hyperparameters import Draw

__all__ = ["Draw", "Results", "next_stage"]
