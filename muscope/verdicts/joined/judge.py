"""Do a coordinate check and a sweep agree? Pure: read from the verdicts and the spec."""

from collections.abc import Iterable, Sequence

from muscope.recorded import AnySpec
from muscope.spec import StudySpec, Variant
from muscope.verdicts.joined import of_check, of_grid, of_rules
from muscope.verdicts.joined.case import Case
from muscope.verdicts.joined.types import Joined, Outcome, Reason
from muscope.verdicts.transfer.types import TransferJudgement
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import Axis, TransferVerdict

SENTENCES = {
    Outcome.BOTH_HOLD: "the coordinate check passes and the learning rate transfers",
    Outcome.ONLY_CHECK: "the coordinate check passes, and yet the best learning rate moves: a "
    "check is necessary and not sufficient",
    Outcome.ONLY_TRANSFER: "the learning rate transfers over these widths, although the "
    "coordinate check fails",
    Outcome.NEITHER: "sizes change with width, and the best learning rate moves with them",
    Outcome.TRANSFERS: "the learning rate transfers",
    Outcome.DRIFTS: "the best learning rate moves",
}

ADVICE = {
    Outcome.BOTH_HOLD: "",
    Outcome.ONLY_CHECK: "change one of these at a time and sweep again",
    Outcome.ONLY_TRANSFER: "follow the diagnosis of the check before you rely on larger widths",
    Outcome.NEITHER: "mend what the diagnosis of the check names first, then sweep again",
    Outcome.UNDECIDED: "",
    Outcome.TRANSFERS: "",
    Outcome.DRIFTS: "add a coordinate check: it names the tensor that changes with width",
}


def join(
    spec: StudySpec, checked: Iterable[VariantVerdict], swept: Iterable[TransferJudgement]
) -> tuple[Joined, ...]:
    """Of every variant of a learning-rate study that its sweep has judged."""
    by_key = {one.variant: one for one in checked}
    variants = {variant.key: variant for variant in spec.variants}
    return tuple(
        of_variant(spec, variants[one.variant], by_key.get(one.variant), one) for one in swept
    )


def told(
    spec: AnySpec, checked: Iterable[VariantVerdict], swept: Iterable[TransferJudgement]
) -> tuple[Joined, ...]:
    """What a page says: of a sweep without a check only where there are known reasons."""
    if not isinstance(spec, StudySpec) or spec.sweep is None:
        return ()
    found = join(spec, checked, swept)
    return tuple(one for one in found if spec.check is not None or one.reasons)


def of_variant(
    spec: StudySpec, variant: Variant, checked: VariantVerdict | None, swept: TransferJudgement
) -> Joined:
    """What both parts come to; a check speaks of width, and of depth where it has several."""
    case = Case(spec, variant, checked, swept)
    passes, transfers = check_passes(case), _transfers(swept)
    outcome = _outcome(checked is not None and case.axis in _CHECKED, passes, transfers)
    reasons = tuple(_reasons(case, outcome, transfers))
    return Joined(
        variant=variant.key,
        label=variant.label,
        outcome=outcome,
        sentence=SENTENCES.get(outcome) or _open(case, passes, transfers),
        final=swept.final and (checked is None or checked.final),
        transfer=swept.verdict,
        is_harmless=swept.is_harmless,
        check=checked.verdict if checked else None,
        reasons=reasons,
        advice=_advice(case, outcome, reasons),
    )


_CHECKED = (Axis.WIDTH, Axis.DEPTH)


def check_passes(case: Case) -> bool | None:
    """Whether sizes keep along what the rate is to transfer over; None where that is open."""
    if case.checked is None:
        return None
    if case.axis is Axis.DEPTH:
        return case.checked.depth_stable
    return case.checked.stable


def _transfers(swept: TransferJudgement) -> bool | None:
    known = {TransferVerdict.TRANSFERS: True, TransferVerdict.DRIFTS: False}
    return known.get(swept.verdict)


def _outcome(is_checked: bool, passes: bool | None, transfers: bool | None) -> Outcome:
    if transfers is None or (is_checked and passes is None):
        return Outcome.UNDECIDED
    if not is_checked:
        return Outcome.TRANSFERS if transfers else Outcome.DRIFTS
    if passes:
        return Outcome.BOTH_HOLD if transfers else Outcome.ONLY_CHECK
    return Outcome.ONLY_TRANSFER if transfers else Outcome.NEITHER


def _reasons(case: Case, outcome: Outcome, transfers: bool | None) -> Iterable[Reason]:
    """Those of the outcome; of a rate that moves as it is known to, that is the reason."""
    match outcome:
        case Outcome.ONLY_CHECK | Outcome.DRIFTS | Outcome.NEITHER if case.moves_as_expected:
            yield from of_rules.known_to_move(case)
        case Outcome.ONLY_CHECK | Outcome.DRIFTS:
            yield from (*of_rules.reasons(case), *of_grid.reasons(case))
        case Outcome.NEITHER:
            yield from of_rules.reasons(case)
        case Outcome.ONLY_TRANSFER:
            yield from of_check.reasons(case)
        case Outcome.UNDECIDED if transfers is None:
            yield from (*of_grid.open_ends(case), *of_rules.known_to_move(case))
        case Outcome.UNDECIDED if not transfers:
            yield from of_rules.known_to_move(case)
        case _:
            return


def _open(case: Case, passes: bool | None, transfers: bool | None) -> str:
    """Which part is open, and what the other says."""
    check = {
        None: "the coordinate check is undecided",
        True: "the coordinate check passes",
        False: "the coordinate check fails",
    }
    sweep = {
        None: "whether the learning rate transfers is undecided",
        True: "the learning rate transfers",
        False: "the best learning rate moves",
    }
    is_checked = case.checked is not None and case.axis in _CHECKED
    return ", and ".join([*([check[passes]] if is_checked else []), sweep[transfers]])


def _advice(case: Case, outcome: Outcome, reasons: Sequence[Reason]) -> str:
    if outcome is Outcome.ONLY_CHECK and not reasons:
        return "none of the known reasons applies: add seeds and rates, then a wider model"
    if outcome is Outcome.UNDECIDED and case.checked:
        return case.checked.power() or ""
    if outcome is Outcome.DRIFTS and (case.checked is not None or case.axis not in _CHECKED):
        return ""
    return ADVICE[outcome]
