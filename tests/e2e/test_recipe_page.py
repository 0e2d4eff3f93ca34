"""The recipe of a study in a real Chromium, on a phone: a long name of a variant fits."""

from pathlib import Path

import pytest

from muscope.settings import Settings
from muscope.spec import ParametrizationSpec, StudySpec
from muscope.storage import schema, verdicts
from muscope.storage.database import open_database
from muscope_server import urls
from tests.core.recipes import study, swept
from tests.e2e.browser import chromium, watched
from tests.server import measured
from tests.server.running import running

pytestmark = pytest.mark.e2e


def test_the_recipe_of_a_long_variant_does_not_scroll_sideways(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data", port=0)
    database = open_database(settings)
    schema.upgrade(database)
    one = study(model="gpt", name="adamw_independent", weight_decay=0.1)
    long = ParametrizationSpec(name="mup", fault="hidden_rate_not_scaled")
    spec = StudySpec.model_validate(
        {**dict(one), "parametrizations": (*one.parametrizations, long)}
    )
    assert max(len(variant.label) for variant in spec.variants) > 50, "wider than the window"
    study_id = measured.submitted(database, spec)
    with database.write() as conn:
        verdicts.save(conn, study_id, swept(spec))
    phone = {"width": 360, "height": 800}
    with running(settings) as server, chromium() as browser:
        url = f"{server.origin}{urls.study(study_id, tab='recipe')}&token={server.token}"
        with watched(browser, url, viewport=phone) as found:
            assert found.page.locator("#recipe table").count() == 1
            assert found.overflow == 0
            assert found.axe() == []
            found.assert_clean()
    database.close()
