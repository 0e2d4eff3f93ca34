"""Plugins that fail are left out with a sentence; the process that asks them goes on."""

import zlib
from pathlib import Path

import pytest

from muscope.plugins import Plugin, PluginError, importing, probe
from tests.plugins import packages
from tests.plugins.conftest import Load

TABLE = """
from muscope.plugins import Plugin
row = {}
rows = dict(embedding=row, hidden=row, output=row)
plugin = Plugin("parametrization", title="T", help="H", source="S", rules={"sign_like": rows})
"""
"""A plugin that needs nothing but muscope."""


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("raise OSError('no GPU here')", "OSError: no GPU here"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("import not_installed_anywhere", "No module named 'not_installed_anywhere'"),
        (
            "class P:\n def describe(self): raise KeyError('title')\nplugin = P()",
            "KeyError: 'title'",
        ),
        ("class P:\n def describe(self): return {1, 2}\nplugin = P()", "not JSON serializable"),
        ("plugin = 3", "has no attribute 'describe'"),
        ("other = 3", "has no attribute 'plugin'"),
        ("raise ValueError('a\\x1b[31m\\nb')", "a[31m b"),
    ],
)
def test_who_raises_is_left_out_with_a_sentence(load: Load, code: str, sentence: str) -> None:
    name = f"broken-{zlib.crc32(code.encode())}"
    (refused,) = load(name, {"thing": "plugin"}, code).refused
    assert refused.startswith(f"plugin {name}/thing@1.0 is left out: ")
    assert sentence in refused
    assert "\n" not in refused


def test_one_name_in_two_packages_is_refused_with_both(load: Load) -> None:
    load("first-of-two", {"table": "plugin"}, TABLE)
    installed = load("second-of-two", {"table": "plugin"}, TABLE)
    assert [one.name for one in installed.described] == []
    (sentence,) = installed.refused
    assert "'table' is in two plugins, first-of-two 1.0 and second-of-two 1.0" in sentence


def test_a_formula_without_value_is_found_before_anybody_chooses_it(load: Load) -> None:
    code = TABLE.replace("row = {}", "row = {'multiplier': '1/(fan_in - base_fan_in - 192)'}")
    (sentence,) = load("no-value", {"table": "plugin"}, code).refused
    assert "no-value/table@1.0 is left out: formula" in sentence
    assert "has no value" in sentence


def test_what_is_not_installed_is_said_by_name() -> None:
    with pytest.raises(PluginError, match="plugin a/b, version 2, is not installed here"):
        importing.held("a/b@2")


def test_a_plugin_that_kills_or_holds_its_process_leaves_the_others(
    folder: Path,
) -> None:
    for name, code in {
        "deadly": "import os\nos._exit(3)",
        "endless": "while True: pass",
        "healthy": TABLE,
    }.items():
        packages.install(folder, name, "1.0", points={"thing_" + name: f"{name}:plugin"}, code=code)
    report = probe.report(5.0)
    assert [one.name for one in report.described] == ["healthy/thing_healthy@1.0"]
    assert (
        "deadly are left out: importing them ended the process (exit code 3)" in report.refused[0]
    )
    assert "endless are left out: importing them took more than 5 s" in report.refused[1]


def test_without_plugins_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importing, "find", list)
    assert probe.report() == probe.Report()


def test_a_plugin_says_its_kind_and_all_that_it_was_given() -> None:
    assert Plugin("dataset", title="T").describe() == {"kind": "dataset", "title": "T"}
