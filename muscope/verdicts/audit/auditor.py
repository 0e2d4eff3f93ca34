"""The audit itself: widths against the base's, then depths, then what is no matter of scaling."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from muscope.catalogue.rules import Choice
from muscope.own_model.facts import Built
from muscope.own_model.roles import OwnRole
from muscope.verdicts.audit import notes, pairs, sentences, wiring
from muscope.verdicts.audit.compare import Compared, compare
from muscope.verdicts.audit.finding import Finding, Level
from muscope.verdicts.audit.rates import look_like


@dataclass(frozen=True, slots=True)
class Audit:
    """The findings, the worst first; what every parameter was compared with; what to know.

    `in_depth` is empty unless two depths were compared, by a rule that knows depth.
    """

    findings: tuple[Finding, ...]
    compared: tuple[Compared, ...]
    in_depth: tuple[Compared, ...]
    notes: tuple[str, ...]

    @property
    def deviations(self) -> tuple[Finding, ...]:
        """The findings that decide the exit code."""
        return tuple(finding for finding in self.findings if finding.level is Level.DEVIATION)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The others."""
        return tuple(finding for finding in self.findings if finding.level is Level.WARNING)


def audit(
    models: Sequence[Built],
    roles: Mapping[str, OwnRole],
    choice: Choice,
    optimizer: str | None = None,
    shallow: Built | None = None,
) -> Audit:
    """Compare models of several widths with a rule, as scaling: constants are free.

    The first model is the base, the last the one that is audited; the rule says how numbers change
    between them (Yang et al. 2022: tables give the scaling, constants are hyperparameters).
    `shallow` has the base width and another depth. Without `optimizer` it is the one that build
    returned. ValueError where no source has such a rule.
    """
    base, *others = models
    wide = [pairs.in_width(model, base, roles, optimizer) for model in reversed(others)]
    every = _first_that_deviates([compare(each, choice) for each in wide])
    deep = pairs.in_depth(base, shallow, roles, optimizer) if shallow else []
    in_depth = compare(deep, choice)
    knows_depth = any(abs(ratio - 1) > 1e-9 for each in in_depth for ratio in each.wanted.values())
    findings = [
        *wiring.findings(models),
        *sentences.findings(every, look_like(wide[0], choice)),
        *(sentences.scaling(in_depth) if knows_depth else ()),
        *wiring.base_findings(every, choice),
    ]
    said = [*notes.notes(models, every, choice), *notes.of_depth(choice, in_depth, knows_depth)]
    shown = tuple(in_depth) if knows_depth else ()
    return Audit(tuple(_worst_first(findings)), every, shown, tuple(said))


def _first_that_deviates(by_width: Sequence[Sequence[Compared]]) -> tuple[Compared, ...]:
    """Of every parameter the audited width's comparison, unless only another width's deviates."""
    return tuple(
        next((each for each in several if each.off), several[0])
        for several in zip(*by_width, strict=True)
    )


def _worst_first(findings: Sequence[Finding]) -> list[Finding]:
    """Deviations before warnings; then what has no size, as it is not about scaling at all."""
    return sorted(
        findings,
        key=lambda finding: (
            finding.level is Level.WARNING,
            finding.factor is not None,
            -max(finding.factor or 1, 1 / (finding.factor or 1)),
            -len(finding.parameters),
        ),
    )
