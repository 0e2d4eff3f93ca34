"""The token and where it is kept."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from muscope import access
from muscope.access import AccessError
from muscope.settings import Settings


def test_the_token_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    with ThreadPoolExecutor(8) as pool:
        tokens = set(pool.map(lambda _: access.token(settings), range(16)))
    assert len(tokens) == 1
    assert len(tokens.pop()) >= 32
    assert settings.token_file.stat().st_mode & 0o777 == 0o600
    assert settings.data_dir.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in settings.data_dir.iterdir()] == ["token"]


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    access.token(settings)
    settings.token_file.chmod(0o644)
    with pytest.raises(AccessError, match=r"chmod 600 .*/token"):
        access.token(settings)


def test_a_folder_that_anyone_can_write_to_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "open")
    access.token(settings)
    settings.data_dir.chmod(0o777)
    with pytest.raises(AccessError, match="chmod o-w"):
        access.token(settings)


def test_the_environment_decides_the_token(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, token="from-the-environment", port=1)
    assert access.token(settings) == "from-the-environment"
    assert access.url(settings) == "http://127.0.0.1:1/?token=from-the-environment"
    assert not settings.token_file.exists()


@pytest.mark.parametrize("token", ["with space", "é", "a\nb"])
def test_a_token_that_no_header_can_carry_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(AccessError, match="printable ASCII"):
        access.token(Settings(data_dir=tmp_path, token=token))


def test_an_empty_token_file_is_refused(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    settings.token_file.touch(mode=0o600)
    with pytest.raises(AccessError, match="is empty"):
        access.token(settings)
