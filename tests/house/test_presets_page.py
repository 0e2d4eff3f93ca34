"""docs/presets.md says of every preset what the data say."""

from pathlib import Path

import pytest

from muscope.presets import PRESETS, SIZES
from muscope.presets.summary import settings

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "presets.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_its_chapter_with_claim_settings_what_came_out_and_notes(name: str) -> None:
    preset = PRESETS[name]
    _, found, rest = PAGE.partition(f"\n## {name}\n")
    assert found
    chapter = rest.partition("\n## ")[0]
    assert preset.source in chapter
    assert f"| published | {preset.claim} |" in chapter
    assert all(f"| {row} |" in chapter for row in ("measured", "agrees", "run"))
    assert "not run" not in chapter
    for size in SIZES:
        for study in preset.studies(size):
            assert settings(study) in chapter
    for note in preset.notes:
        assert f"- {note}" in chapter


def test_the_page_has_no_other_chapters() -> None:
    assert [line[3:] for line in PAGE.splitlines() if line.startswith("## ")] == list(PRESETS)
