"""What a judgement of a hyperparameter search says: plain values that travel as JSON."""

from muscope.spec import Variant
from muscope.tuning import RATE, Point
from muscope.verdicts.types import Judged
from muscope.vocabulary import SearchVerdict


class HyperparameterSet(Judged):
    """A base learning rate, and every tuned multiplier by the name of its option.

    The values are absolute; `octaves` says of each how far it is from what the study gave.
    """

    learning_rate: float
    multipliers: dict[str, float]
    octaves: dict[str, float]

    def applied_to(self, variant: Variant) -> Variant:
        """The variant with these instead of its own, for a study or a recipe at any width."""
        given = variant.parametrization
        options = {**given.options, **self.multipliers}
        optimizer = variant.optimizer.model_copy(update={"learning_rate": self.learning_rate})
        parametrization = type(given)(name=given.name, options=options, fault=given.fault)
        return variant.model_copy(
            update={"parametrization": parametrization, "optimizer": optimizer}
        )

    @property
    def values(self) -> dict[str, float]:
        """The learning rate and the multipliers by name."""
        return {RATE: self.learning_rate, **self.multipliers}


class SetAtWidth(Judged):
    """How a set did at one width.

    `loss` is the mean over seeds, None where a seed diverged or gave no result; [`low`, `high`] its
    90 % Student-t interval over seeds, None with one seed. `behind` is how much more it loses than
    the best set of that width, seed by seed, with its interval. `rank` counts from 1 in the order
    by which one is chosen: the steady ones first, each by loss; None without a loss. `spikes` are
    those of all seeds, `growth` the octaves by which the gradient's norm grew, of the worst seed.
    """

    width: int
    rank: int | None
    loss: float | None
    low: float | None
    high: float | None
    behind: float | None
    behind_low: float | None
    behind_high: float | None
    seeds: int
    diverged: int
    spikes: int
    growth: float | None
    is_steady: bool


class JudgedSet(Judged):
    """A set, numbered in the order of its first run, at every width where it was tried."""

    number: int
    hyperparameters: HyperparameterSet
    widths: tuple[SetAtWidth, ...]

    def at(self, width: int) -> SetAtWidth | None:
        """How it did there, if it was tried there."""
        return next((one for one in self.widths if one.width == width), None)


class Agreement(Judged):
    """How far the ranking at a larger width is that of the smallest, over the sets at both.

    `correlation` is Spearman's of the losses, with a 90 % interval from five sets on; `regret` what
    the best of the smallest width loses there against the best there, seed by seed; None where
    that one was not tried, or `diverged`. [`regret_low`, `regret_high`] is how much it surely loses
    against some other, and the most that it may lose against any; None with one seed, and where no
    other was tried.
    """

    width: int
    sets: int
    correlation: float | None
    low: float | None
    high: float | None
    regret: float | None
    regret_low: float | None
    regret_high: float | None
    diverged: bool = False


class TransferError(Judged):
    """What it costs to tune one hyperparameter while another stands elsewhere (Blake et al. 2024).

    Of the best value of `of` for every value of `fixed`: the mean over `fixed` of the loss with the
    one that is best where `fixed` is best, minus the least loss there. 0 where the two do not
    depend on each other. With a 90 % interval over seeds.
    """

    fixed: str
    of: str
    error: float
    low: float | None
    high: float | None
    values: int


class SearchJudgement(Judged):
    """A variant's verdict: which set to take, and whether the smallest width would have named it.

    `chosen` is the number of the set with the least loss at the smallest width, `winner` that of
    the one that is ranked first at the largest width there is; None where no set has a loss.
    `at_edge` names what of the winner lies at the end of what was tried: beyond may be better.
    """

    variant: str
    label: str
    method: str
    names: tuple[str, ...]
    learning_rate: float
    verdict: SearchVerdict
    final: bool
    runs_judged: int
    runs_planned: int
    tolerance: float
    sets: tuple[JudgedSet, ...]
    chosen: int | None
    winner: int | None
    agreements: tuple[Agreement, ...]
    transfer_errors: tuple[TransferError, ...] = ()
    at_edge: tuple[str, ...] = ()

    @property
    def winning(self) -> HyperparameterSet | None:
        """The set to take to a larger model."""
        found = self.numbered(self.winner)
        return found.hyperparameters if found else None

    def numbered(self, number: int | None) -> JudgedSet | None:
        """A set by its number."""
        return next((one for one in self.sets if one.number == number), None)

    @property
    def widths(self) -> tuple[int, ...]:
        """Where sets were tried."""
        return tuple(sorted({one.width for of in self.sets for one in of.widths}))

    @property
    def default(self) -> JudgedSet | None:
        """The set with everything as the study gave it, if that was tried."""
        given = Point()
        return next(
            (
                one
                for one in self.sets
                if all(given.at(name) == at for name, at in one.hyperparameters.octaves.items())
            ),
            None,
        )

    def sentence(self) -> str:
        """The verdict in words."""
        if self.verdict is SearchVerdict.NONE_STEADY:
            return "no set trained steadily at every seed: take smaller learning rates"
        last = self.agreements[-1] if self.agreements else None
        if last is None or last.regret is None:
            return _without_regret(last)
        loss = f"its loss is {_nats(last.regret)} above the least there"
        if self.verdict is SearchVerdict.HOLDS:
            return f"the best set of the smallest width is {self._among(last.width)}: {loss}"
        if self.verdict is SearchVerdict.LOSES:
            return (
                f"the best set of the smallest width is not that of width {last.width}: {loss}, "
                "so take the one that is ranked first there"
            )
        held = f"whether the best set of the smallest width holds at width {last.width} is open"
        return f"{held}: {self._why_open(last, loss)}"

    def _why_open(self, last: Agreement, loss: str) -> str:
        if self._others(last.width) < 1:
            return "no other was tried there; keep more sets"
        if last.regret_low is None:
            return f"{loss}, and one seed has no interval; take at least 3"
        return f"{loss}, and the seeds do not tell this from {self.tolerance:g}; add seeds"

    def _among(self, width: int) -> str:
        """With how many others it was compared there: of few, being the best says little."""
        others = self._others(width)
        of_others = "other one" if others == 1 else f"{others} others"
        return f"as good as the {of_others} tried at width {width}"

    def _others(self, width: int) -> int:
        """How many sets beside the choice were tried at a width."""
        return sum(of.at(width) is not None for of in self.sets if of.number != self.chosen)


def _without_regret(last: Agreement | None) -> str:
    if last is None or not last.diverged:
        return "nothing was tried at a larger width, so whether the choice holds is open"
    return (
        f"the best set of the smallest width is not that of width {last.width}: it diverged there"
    )


def _nats(value: float) -> str:
    return f"{value:.3f}".replace("-", "−")
