"""The samples of a user's own model judged by the same machinery as those of the catalogue's.

Of a model that its own code parametrizes nothing is known but what every role should do: keep its
size. The legal exceptions are those of µP: readouts and attention logits that start low, and slow
alignment. A model that was parametrized by a rule is held against that rule's exponents.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from muscope.catalogue import OPTIMIZERS
from muscope.catalogue.parametrizations import PARAMETRIZATION_ENTRIES
from muscope.catalogue.rules import Choice
from muscope.own_model.tensors import OwnTensor
from muscope.recording import STATISTICS
from muscope.records import Sample
from muscope.theory import expected
from muscope.theory.expected import Coordinates, Powers, Standard
from muscope.verdicts import judge, power, statements
from muscope.verdicts.cells import cells_of
from muscope.verdicts.diagnosis.of_own import of_own
from muscope.verdicts.family import Family
from muscope.verdicts.grid import Place, Tensor, arrange
from muscope.verdicts.joint import joint_slopes
from muscope.verdicts.looks import CONFIDENCE
from muscope.verdicts.types import Cell, VariantVerdict
from muscope.vocabulary import CellVerdict, Role, Statistic, TensorKind, UpdateFamily

_START_LOW = -0.5


@dataclass(frozen=True, slots=True)
class OwnVariant:
    """What gets the verdict: a model of the user's with its optimizer, or under a rule.

    `optimizers` are the catalogue's names by role, None where a class is not known; `choice` is
    None where the model is parametrized by its own code. `is_unit_scaled`: by unit_scaling's.
    `readout` is the power of the readout's entries, with its multiplier, where a rule gives it.
    """

    key: str
    label: str
    optimizers: Mapping[Role, str | None]
    choice: Choice | None = None
    is_unit_scaled: bool = False
    heads_grow: bool = False
    zero_readout: bool = False
    tied: bool = False
    readout: float | None = None


@dataclass(frozen=True, slots=True)
class OwnGrid:
    """The runs of a check: widths that are judged, seeds per place, and all runs planned."""

    widths: tuple[int, ...]
    seeds: int
    planned_runs: int


def judge_own(
    variant: OwnVariant,
    grid: OwnGrid,
    tensors: Mapping[int, Sequence[OwnTensor]],
    samples: Iterable[Sample],
    *,
    runs_judged: int,
    final: bool,
) -> VariantVerdict:
    """Judge what was measured; `tensors` are those of every depth. What is not judged is shown."""
    order = {
        (depth, TensorKind.ACTIVATION, tensor.name): tensor.aligns_slowly
        for depth, own in tensors.items()
        for tensor in own
    }
    decides = {
        (depth, tensor.name) for depth, own in tensors.items() for tensor in own if tensor.is_judged
    }
    statistics = STATISTICS["activations"][TensorKind.ACTIVATION]
    arranged = arrange(list(samples), order, statistics, (grid.widths, grid.seeds))
    cells = tuple(cells_of(arranged, grid.widths, _At(variant)))
    further = tuple(judge.further_cells(arranged, grid.widths, _in_depth, CONFIDENCE))
    family = Family((c for c in cells if (c.depth, c.tensor) in decides), CONFIDENCE)
    cells = tuple(map(family.told, cells))
    deciding = [cell for cell in cells if (cell.depth, cell.tensor) in decides]
    judged = tuple(judge.tensor_verdicts(deciding))
    verdict = judge.worst_of(judged)
    is_open = verdict is CellVerdict.INCONCLUSIVE and runs_judged == grid.planned_runs
    stable = statements.is_stable(verdict) if judged else None
    measured = power.Measured(grid.widths, grid.seeds, lambda width: float(width) ** 2)
    return VariantVerdict(
        variant=variant.key,
        label=variant.label,
        verdict=verdict,
        final=final,
        runs_judged=runs_judged,
        runs_planned=grid.planned_runs,
        stable=stable,
        depth_stable=statements.is_depth_stable(further),
        as_theory=statements.as_theory(deciding),
        theory_of=_theory_of(variant),
        addition=power.cheapest(deciding, measured) if is_open else None,
        diagnosis=of_own(
            variant,
            grid.widths,
            deciding,
            lambda cell: expected.on_width(_At(variant)(_place(cell, order), cell.statistic)),
            confidence=CONFIDENCE,
            stable=stable,
        )
        if final
        else None,
        tensors=judged,
        cells=cells,
        further_cells=further,
        joint=joint_slopes(arranged, grid.widths, CONFIDENCE),
    )


def _theory_of(variant: OwnVariant) -> str:
    """Whose theory a model is held against that names no rule itself."""
    if variant.choice is not None:
        return ""
    return PARAMETRIZATION_ENTRIES[_standing_in(variant)].title


def _standing_in(variant: OwnVariant) -> str:
    return "u_mup" if variant.is_unit_scaled else "mup"


def _place(cell: Cell, slow: Mapping[Tensor, bool]) -> Place:
    """Where a cell was measured."""
    is_slow = slow[cell.depth, cell.kind, cell.tensor]
    return Place(cell.depth, cell.kind, cell.tensor, cell.role, cell.step, is_slow)


def _in_depth(place: Place, statistic: Statistic) -> Standard:
    """Of a model that is not of the catalogue no source knows how it should grow with depth."""
    return expected.on_depth(
        "",
        UpdateFamily.SIGN_LIKE,
        role=place.role,
        statistic=statistic,
        step=place.step,
        kind=place.kind,
    )


@dataclass(frozen=True, slots=True)
class _At:
    """What the expectation of a slope depends on."""

    variant: OwnVariant

    def __call__(self, place: Place, statistic: Statistic) -> Coordinates:
        variant, family = self.variant, self._family
        return Coordinates(
            row=self._row,
            zero_readout=variant.zero_readout,
            family=family(place.role),
            role=place.role,
            statistic=statistic,
            step=place.step,
            aligns_slowly=place.aligns_slowly,
            mixed=family(Role.HIDDEN) is not family(Role.OUTPUT),
            # where logits start is known where a rule has made the readout
            tied=variant.tied or variant.choice is None,
            attention_start=_START_LOW if variant.heads_grow else None,
            powers=None if variant.readout is None else _powers(variant.readout),
        )

    @property
    def _row(self) -> str:
        variant = self.variant
        if variant.choice is None:
            return _standing_in(variant)
        choice = variant.choice
        row = expected.row(choice.name, choice.complete, self._family(Role.HIDDEN))
        # far wider than what it reads out, spectral µP is µP
        return "mup" if row == "spectral" and variant.readout == -1 else row

    def _family(self, role: Role) -> UpdateFamily:
        of = Role.HIDDEN if role in (Role.ATTENTION_LOGITS, Role.RESIDUAL) else role
        optimizer = self.variant.optimizers.get(of) or self.variant.optimizers.get(Role.HIDDEN)
        if optimizer is None:
            return UpdateFamily.SIGN_LIKE  # most that people train with
        return OPTIMIZERS[optimizer].family_of(of)


def _powers(readout: float) -> Powers:
    """Of activations only the readout's power is asked for."""
    return Powers(multiplier=0.0, rate=0.0, size=None, spectral=None, readout=readout)
