"""The Report tab, and all that the file of a report says."""

from dataclasses import replace

from sqlalchemy import Connection

from muscope.reports import html
from muscope.reports.html import Content, ReportInput
from muscope.storage import attempts, budgets, measurements, verdicts
from muscope.storage.studies import StudyRow
from muscope_server.study_page.header import trained_again
from muscope_server.study_page.runs import runs, taken


def report_input(conn: Connection, row: StudyRow) -> ReportInput:
    """All that a report says, from the database."""
    return replace(_in_words(conn, row), samples=measurements.samples(conn, row.id))


def preview(conn: Connection, row: StudyRow) -> Content:
    """The report without its charts, which have a tab of their own."""
    return html.content(_in_words(conn, row), charts=())


def _in_words(conn: Connection, row: StudyRow) -> ReportInput:
    """What a report says without the measurements, of which it draws."""
    return ReportInput(
        spec=row.spec,
        verdicts=verdicts.of_study(conn, row.id),
        samples=(),
        runs=runs(conn, row),
        environment=_environment(conn, row),
        created_at=row.created_at,
        title=row.name,
        transfer=verdicts.of_transfer(conn, row.id),
        searches=verdicts.of_search(conn, row.id),
    )


def _environment(conn: Connection, row: StudyRow) -> dict[str, str]:
    """Versions, devices and data of everything that ran."""
    found = attempts.surroundings(conn, row.id)
    columns: dict[str, set[str | None]] = {
        "device": {entry.device for entry in found},
        "threads": {str(entry.threads or "") for entry in found},
        "float32 products": {entry.matmul_precision for entry in found},
        "torch": {entry.torch_version for entry in found},
        "code": {entry.code_version for entry in found},
        "data, SHA-256": {entry.data_digest for entry in found},
    }
    said = {name: ", ".join(sorted(filter(None, of))) for name, of in columns.items()}
    budget = taken(budgets.of_study(conn, row.id))
    return {
        "study": row.id,
        "spec, SHA-256": row.spec_digest,
        **_reuse(conn, row),
        **{name: words for name, words in said.items() if words},
        **({"budget": budget} if budget else {}),
    }


def _reuse(conn: Connection, row: StudyRow) -> dict[str, str]:
    """What a report says of the study that this one extends."""
    if row.extends is None:
        return {}
    again = trained_again(conn, row)
    said = f"study {row.extends}: {row.reused} of {row.runs} runs reused"
    return {"extends": f"{said}; trained again: {again}" if again else said}
