"""A study file is read as it is meant, and what is wrong with it is said with its path."""

import json
from pathlib import Path

import pytest

from muscope import spec_file
from muscope.presets.demo import demo
from muscope.spec_file import SpecError

STUDY = """\
name: From a file
arms:
  - model: {name: mlp, batch_size: 64}
    optimizers: [{name: adamw, learning_rate: 3e-3}]
parametrizations: [{name: sp}, {name: mup, options: {zero_readout: false}}]
widths: [64, 128]
"""


def faults(path: Path, text: str) -> dict[str, str]:
    """What is wrong with a file, by path."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        spec_file.read(path)
    return dict(caught.value.fields)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "study.yaml"


def test_yaml_is_read_as_a_person_means_it(file: Path) -> None:
    file.write_text(STUDY)
    spec = spec_file.read(file)
    assert spec.widths == (64, 128)
    assert spec.arms[0].optimizers[0].learning_rate == 3e-3
    assert not spec.parametrizations[1].zero_readout


def test_json_is_read_too(tmp_path: Path) -> None:
    file = tmp_path / "study.json"
    file.write_text(json.dumps(demo().model_dump(mode="json"), indent="\t"))
    assert spec_file.read(file) == demo()


@pytest.mark.parametrize(
    ("before", "after", "path", "words"),
    [
        ("[64, 128]", '["64", 128]', "widths.0", 'must be a whole number, got "64"'),
        ("widths", "stop_early: maybe\nwidths", "stop_early", 'must be true or false, got "maybe"'),
        ("widths", "preset: No!\nwidths", "preset", "must be the name of a preset, lower-case"),
        ("[64, 128]", "[0, 128]", "widths.0", "must be at least 1, got 0"),
        ("[64, 128]", "[64]", "widths", "needs at least 2 entries, got 1"),
        ("[64, 128]", "[64, 64]", "widths", "the value 64 is there twice"),
        ("From a file", '""', "name", "must have at least 1 character"),
        ("widths", "width", "width", "unknown field; allowed: version, name, kind, arms"),
        ("widths", "width", "widths", "is missing"),
        ("batch_size", "batch", "arms.0.model.batch", "allowed: name, batch_size, options"),
        ("3e-3", "fast", "arms.0.optimizers.0.learning_rate", 'must be a number, got "fast"'),
        ("3e-3", ".nan", "arms.0.optimizers.0.learning_rate", "must be a finite number"),
        ("adamw", "adamm", "arms.0.optimizers.0", "unknown optimizer 'adamm'; allowed: adamw, sgd"),
        ("false", "[1]", "parametrizations.1.options.zero_readout", "true, false or one word"),
        (
            "false",
            "maybe",
            "parametrizations.1",
            "'zero_readout' must be true or false, got 'maybe'",
        ),
        ("false", "3", "parametrizations.1", "'zero_readout' must be true or false, got 3"),
    ],
)
def test_each_fault_is_said_at_its_field(
    file: Path, before: str, after: str, path: str, words: str
) -> None:
    assert words in faults(file, STUDY.replace(before, after))[path]


def test_one_wrong_entry_is_one_fault(file: Path) -> None:
    assert len(faults(file, STUDY.replace("adamw", "adamm"))) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "must be a mapping of fields"),
        ("- 1\n", "must be a mapping of fields"),
        ("name: a\nwidths: [64\n", "line 3, column 1: while parsing a flow sequence, expected"),
        ("name: \0", "special characters are not allowed at position 6"),
        ("name: a\nname: b\n", "the field 'name' is there twice"),
        ("a: &x [1]\nb: *x\n", "aliases (*name) are not allowed"),
        ("[" * 5000, "nested too deeply"),
        ("a: " + "9" * 6000, "digits"),
        ("x" * (spec_file.MAX_BYTES + 1), "longer than"),
        ("a: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
    ],
)
def test_what_is_no_study_at_all_is_said_in_one_sentence(file: Path, text: str, words: str) -> None:
    found = faults(file, text)
    assert list(found) == [""]
    assert words in found[""]
    assert "<unicode string>" not in found[""]


def test_a_person_reads_the_file_and_the_path_as_it_would_be_written(file: Path) -> None:
    file.write_text(STUDY.replace("3e-3", "0"))
    with pytest.raises(SpecError) as caught:
        spec_file.read(file)
    assert str(caught.value).splitlines() == [
        f"{file} is not a study that muscope can run:",
        "  arms[0].optimizers[0].learning_rate: must be greater than 0.0, got 0",
    ]


def test_a_field_twice_in_json_is_refused(tmp_path: Path) -> None:
    twice = json.dumps(demo().model_dump(mode="json")).replace(
        '"seeds": 5', '"seeds": 5, "seeds": 4'
    )
    assert "'seeds' is there twice" in faults(tmp_path / "study.json", twice)[""]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"nowhere\.yaml"):
        spec_file.read(tmp_path / "nowhere.yaml")
