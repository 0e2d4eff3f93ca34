"""How far a study is."""

from muscope.storage.studies import StudyRow
from muscope.vocabulary import RunState
from muscope_server.contexts import Progress


def progress(row: StudyRow) -> Progress:
    """How far a study is: what ended, what of it gave a result, what failed."""

    def count(*states: RunState) -> int:
        return sum(row.counts.get(state, 0) for state in states)

    return Progress(
        state=row.state,
        ended=sum(number for state, number in row.counts.items() if state.is_terminal),
        measured=count(RunState.FINISHED, RunState.DIVERGED, RunState.SKIPPED),
        failed=count(RunState.FAILED, RunState.OUT_OF_MEMORY),
        runs=row.runs,
        at_most=row.spec.run_count if row.stage is not None else 0,
        reused=row.reused,
    )


def is_over(row: StudyRow) -> bool:
    """Whether nothing more will be measured."""
    return not progress(row).is_live
