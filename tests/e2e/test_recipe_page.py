"""The recipe of a study in a real Chromium, on a phone: a long name of a variant fits."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from muscope.spec import ParametrizationSpec, StudySpec
from muscope.storage import verdicts
from muscope.storage.database import Database
from muscope_server import urls
from tests.core.recipes import study, swept
from tests.e2e.browser import PHONE, house, watched
from tests.server import measured

pytestmark = pytest.mark.e2e


def judged(database: Database) -> str:
    """A sweep with a variant that has a long name."""
    one = study(model="gpt", name="adamw_independent", weight_decay=0.1)
    long = ParametrizationSpec(name="mup", fault="hidden_rate_not_scaled")
    spec = StudySpec.model_validate(
        {**dict(one), "parametrizations": (*one.parametrizations, long)}
    )
    assert max(len(variant.label) for variant in spec.variants) > 50, "wider than the window"
    study_id = measured.submitted(database, spec)
    with database.write() as conn:
        verdicts.save(conn, study_id, swept(spec))
    return study_id


def test_the_recipe_of_a_long_variant_does_not_scroll_sideways(
    browser: Browser, tmp_path: Path
) -> None:
    with house(tmp_path, judged) as found:
        link = found.enter(urls.study(found.study_id, tab="recipe"))
        with watched(browser, link, viewport=PHONE) as seen:
            assert seen.page.locator("#recipe table").count() == 1
            assert seen.overflow == 0
            assert seen.axe() == []
            seen.assert_clean()
