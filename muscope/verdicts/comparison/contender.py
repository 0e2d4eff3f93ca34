"""What is known of one variant that is compared: its losses, its sizes, and how they came about."""

import math
from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from muscope.recorded import AnySpec, RecordedVariant
from muscope.records import Sample
from muscope.spec import StudySpec, Variant
from muscope.verdicts.comparison import sizes
from muscope.verdicts.comparison.sizes import Lines
from muscope.verdicts.comparison.swept import Swept
from muscope.verdicts.transfer.losses import Curve, Trial, curves
from muscope.verdicts.transfer.places import Place
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import Axis, Statistic, TensorKind


@dataclass(frozen=True)
class Contender:
    """One variant of one study; `surroundings` say on what it was trained and on which data."""

    study: str
    study_name: str
    spec: AnySpec
    variant: str
    trials: Sequence[Trial] = ()
    transfer: TransferJudgement | None = None
    sizes: VariantVerdict | None = None
    samples: Sequence[Sample] = ()
    surroundings: Mapping[str, str] = field(default_factory=dict)
    device_s: float | None = None
    _swept: dict[frozenset[int], Swept] = field(default_factory=dict, init=False, repr=False)
    _lines: dict[Hashable, Lines] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def chosen(self) -> Variant | RecordedVariant:
        """The variant as its study says it."""
        return next(one for one in self.spec.variants if one.key == self.variant)

    @property
    def label(self) -> str:
        """The variant as a person says it."""
        return self.chosen.label

    @property
    def has_losses(self) -> bool:
        """Whether it was, or is to be, trained at several learning rates."""
        return self.spec.kind == "lr_transfer"

    @property
    def has_sizes(self) -> bool:
        """Whether the sizes of its tensors are, or are to be, measured."""
        return self.spec.coordinate_check is not None

    @property
    def has_several_batches(self) -> bool:
        """Whether its sizes are measured at several batch sizes."""
        return isinstance(self.spec, StudySpec) and bool(self.spec.batch_sizes)

    @property
    def axis(self) -> Axis:
        """What its learning rate may transfer over."""
        if self.transfer is not None:
            return self.transfer.axis
        axes = self.spec.transfer_axes if isinstance(self.spec, StudySpec) else ()
        return next(iter(axes), Axis.WIDTH)

    @cached_property
    def trained(self) -> frozenset[int]:
        """The seeds that gave a loss."""
        return frozenset(trial.seed for trial in self.trials if trial.loss is not None)

    @cached_property
    def measured(self) -> frozenset[int]:
        """The seeds of which sizes are known."""
        return frozenset(sample.seed for sample in self.samples)

    @cached_property
    def widths(self) -> Mapping[int, set[int]]:
        """The widths that were measured at each step: of a study that goes on, not all of them."""
        found: dict[int, set[int]] = defaultdict(set)
        for sample in self.samples:
            found[sample.step].add(sample.width)
        return found

    @property
    def seeds(self) -> frozenset[int]:
        """The seeds that its losses, else its sizes, are of."""
        return self.trained if self.has_losses else self.measured

    def log2_rate(self, octave: float) -> float:
        """The binary logarithm of the learning rate at an octave, so rounded that equals meet."""
        rate = self.chosen.optimizer.learning_rate if isinstance(self.chosen, Variant) else 1.0
        return round(math.log2(rate) + octave, 6)

    def swept(self, seeds: frozenset[int]) -> Swept:
        """Those curves for its pairs, which mostly ask for the same seeds."""
        if seeds not in self._swept:
            self._swept[seeds] = Swept(self.curves(seeds))
        return self._swept[seeds]

    def lines(self, statistic: Statistic, kind: TensorKind, seeds: frozenset[int]) -> Lines:
        """The sizes of its tensors by one statistic, of each of these seeds, for its pairs too."""
        asked = statistic, kind, seeds
        if asked not in self._lines:
            self._lines[asked] = sizes.lines(
                self.samples, statistic, kind, seeds, several=self.has_several_batches
            )
        return self._lines[asked]

    def curves(self, seeds: frozenset[int]) -> dict[Place, dict[int, Curve]]:
        """Loss against log2(learning rate) of each of these seeds, by a place without its name."""
        found = curves(trial for trial in self.trials if trial.seed in seeds)
        return {
            place._replace(variant=""): {
                seed: {self.log2_rate(octave): loss for octave, loss in curve.items()}
                for seed, curve in of_seed.items()
            }
            for place, of_seed in found.items()
        }
