"""What a reader takes home: the CSV and the report."""

import csv
import io
from pathlib import Path

from muscope.reports.csv import HEADER
from muscope.storage.database import open_database
from muscope_server import urls
from tests.server import measured
from tests.server.running import running
from tests.server.world import World


def test_the_csv_is_streamed_with_the_promised_header(world: World) -> None:
    answer = world.visitor.get(urls.measurements(world.study_id))
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert tuple(rows[0]) == HEADER
    assert len(rows) == 16 * 3 * 3  # runs, steps, tensors
    assert answer.headers["content-disposition"].startswith("attachment")


def test_the_report_is_an_attachment_that_can_do_nothing_in_our_origin(
    template_dir: Path, tmp_path: Path
) -> None:
    from tests.server.conftest import fresh

    settings = fresh(template_dir, tmp_path)
    name = 'µ "quoted" ../../etc € <b>'
    with running(settings) as server, server.browser() as visitor:
        database = open_database(settings)
        study_id = measured.finished(database, measured.small(name))
        database.close()
        answer = visitor.get(urls.report(study_id))
    disposition = answer.headers["content-disposition"]
    assert disposition.isascii()
    assert "filename*=UTF-8''muscope-" in disposition
    assert "/" not in disposition
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "<b>" not in answer.text.split("<main", 1)[1].split("<script", 1)[0]


def test_slopes_are_a_row_per_cell(world: World) -> None:
    answer = world.visitor.get(f"{urls.api_study(world.study_id)}/slopes.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    verdicts = world.visitor.get(f"{urls.api_study(world.study_id)}/verdicts").json()
    assert len(rows) == sum(len(one["cells"]) for one in verdicts["verdicts"])
    assert {row["axis"] for row in rows} == {"width"}
