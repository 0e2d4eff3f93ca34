"""A study in the list of studies, with a badge for each of its variants."""

from dataclasses import replace

from muscope.recorded import AnySpec, RecordedSpec
from muscope.storage.studies import StudyRow
from muscope.storage.verdicts import VerdictSummary
from muscope.verdicts.looks import looks
from muscope.verdicts.transfer.types import is_harmless
from muscope.vocabulary import CellVerdict
from muscope_server.contexts import Badge, StudyLine
from muscope_server.study_page.asked import labels
from muscope_server.study_page.progress import progress

_PART_TITLES = {"coordinate_check": "check", "lr_transfer": "learning rate"}
"""What a badge says beside the variant where a study has two of it."""


def line(row: StudyRow, summaries: list[VerdictSummary]) -> StudyLine:
    """A study in the list of studies, with one badge per variant."""
    judged = {(summary.kind, summary.variant): summary for summary in summaries}
    how_far, parts = progress(row), _parts(row.spec)
    return StudyLine(
        id=row.id,
        name=row.name,
        badges=[
            replace(
                _badge(
                    f"{label} · {_PART_TITLES[part.kind]}" if len(parts) > 1 else label,
                    judged.get((part.kind, key)),
                    _whole(part, key),
                    is_over=not how_far.is_live,
                ),
                is_harmless=_is_harmless(part, judged.get((part.kind, key))),
            )
            for key, label in labels(row).items()
            for part in parts
        ],
        progress=how_far,
        created_at=row.created_at,
    )


def _parts(spec: AnySpec) -> tuple[AnySpec, ...]:
    """What a study asks, each as if it were alone."""
    return (spec,) if isinstance(spec, RecordedSpec) else spec.parts


def _whole(spec: AnySpec, variant: str) -> set[int]:
    """Runs with which a variant lacks none: all that were planned, or those of a look.

    Of a search that may be any number.
    """
    if isinstance(spec, RecordedSpec):
        return {one.planned_runs for one in spec.variants if one.key == variant}
    per_variant = spec.run_count // len(spec.variants)
    if spec.search == "adaptive" or spec.extend_octaves or spec.tuning is not None:
        return set(range(1, per_variant + 1))
    return {per_variant // spec.seeds * look for look in looks(spec)}


def _is_harmless(spec: AnySpec, judged: VerdictSummary | None) -> bool:
    """Whether what it says is no fault of a rule."""
    if judged is None or isinstance(spec, RecordedSpec) or spec.kind != "lr_transfer":
        return False
    return is_harmless(judged.verdict, spec.transfer_axes[0])


def _badge(label: str, judged: VerdictSummary | None, whole: set[int], *, is_over: bool) -> Badge:
    if judged is None:
        return Badge(label, None, "")
    if not is_over:
        return Badge(label, judged.verdict, "" if judged.final else "so far")
    # what is still open after an early look was to go on
    is_open = judged.verdict is CellVerdict.INCONCLUSIVE and judged.runs_judged < max(whole)
    is_firm = judged.final and judged.runs_judged in whole and not is_open
    return Badge(label, judged.verdict, "" if is_firm else "incomplete")
