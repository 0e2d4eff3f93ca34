"""A study: one question, frozen at submission."""

from typing import Self

from pydantic import ValidationInfo, model_validator

from muscope.spec import coordinate_check, grid, hyperparameter_search, lr_transfer
from muscope.spec.question import Question

STORED = {"stored": True}
"""The context in which a spec is read that was checked when it was submitted."""


class StudySpec(Question, defer_build=False):
    """One question: a grid of widths and depths for every variant, frozen at submission.

    In a coordinate check a seed is an initialization; the batch is the same for every seed,
    width and variant. With fresh batches a seed decides their order too. Statistics are recorded
    at steps 0 to `steps`, of more than 32 at ever fewer; with `record_every` at its multiples and
    the last step, and nothing else is computed at the others.

    A study of kind `lr_transfer` trains every variant at several learning rates, 2^octave times
    its optimizer's own, on fresh batches, and records losses only. Its loss is that on `held_out`
    batches after the last step; with none, that of the last training steps.

    A study of kind `hyperparameter_search` tries sets of a learning rate and multipliers by the
    rule of its `tuning`: all at the smallest width, the best at each larger one. Its `octaves` are
    the learning rates that are tried, or the two ends between which they are drawn.

    With a `check` it also runs a coordinate check of the same variants, and is judged twice.

    With `batch_sizes` every variant is trained at each of them, instead of at its model's own; with
    `sequence_lengths` on sequences of each; with `step_counts` for each, of which `steps` is the
    largest. A learning-rate study asks over the first of `TRANSFER_AXES` that has several values.

    Where the best rate lies at the end of the octaves, rates as far apart as the last two are added
    on that side, in later stages, up to `extend_octaves` octaves beyond.

    A study that `extends` another, by its id, has all of its grid and more; what that one has
    trained is not trained again.

    A study remembers the name of the `preset` that it came from, whose published figures are shown
    beside its own; nothing of its runs depends on it.
    """

    @model_validator(mode="after")
    def _fits_together(self, info: ValidationInfo) -> Self:
        self._check_kind()
        grid.check(self)
        if info.context is not STORED:
            grid.check_rules(self)
            grid.check_schedules(self)
            hyperparameter_search.check_ranges(self)
        grid.check_variants(self)
        return self

    def _check_kind(self) -> None:
        if self.kind == "hyperparameter_search":
            hyperparameter_search.check(self)
        elif self.tuning is not None:
            raise ValueError("tuning is for studies of kind hyperparameter_search")
        elif self.kind == "lr_transfer":
            lr_transfer.check(self)
        else:
            coordinate_check.check(self)


def stored(text: str) -> StudySpec:
    """A spec that was accepted once: read as it is, whatever a later version would refuse."""
    return StudySpec.model_validate_json(text, context=STORED)
