"""What a plugin says of itself is read strictly."""

import json
from typing import Any

import pytest

from muscope.plugins import descriptions, names
from muscope.plugins.descriptions import Described

OPTIMIZER = {
    "kind": "optimizer",
    "title": "Sign",
    "help": "Sign descent.",
    "family": "sign_like",
    "learning_rate": 1e-3,
}


def read(**changes: Any) -> descriptions.Description:
    return descriptions.read(json.dumps({**OPTIMIZER, **changes}))


def option(**changes: Any) -> list[dict[str, Any]]:
    return [{"name": "beta", "default": 0.9, "high": 1.0, "help": "Decay.", **changes}]


def test_a_plain_description_is_read() -> None:
    assert read(options=option()).title == "Sign"


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"kind": "loss"}, "`kind` must be one of model, parametrization, optimizer"),
        ({"title": ""}, "title: .* at least 1 character"),
        ({"title": "x" * 61}, "title: .* at most 60 characters"),
        ({"title": "<b>Adam</b>"}, "title: must not hold any of"),
        ({"options": option(default="a", allowed=["a", "$x$"])}, "must not hold any of"),
        ({"title": "Adam\u202eW"}, "title: must not hold control or bidirectional characters"),
        ({"help": "two\nlines"}, "help: must not hold control"),
        ({"help": "A\u030a"}, "help: must be in Unicode normal form C"),
        ({"family": "adam_like"}, "family: "),
        ({"learning_rate": "1e-3"}, "learning_rate: "),
        ({"learning_rate": -1.0}, "learning_rate: "),
        ({"update": "w - g"}, "update: unknown field"),
        ({"state": "rows.columns"}, "holds more than arithmetic"),
        ({"state": "rows*depth"}, "has the name 'depth'"),
        ({"fallback": "rm -rf"}, "fallback: "),
        ({"options": option(name="Beta")}, "options.0.name: "),
        ({"options": option(name="schedule")}, "'schedule' has a name that muscope uses"),
        ({"options": option() + option()}, "option 'beta' is there twice"),
        ({"options": option(default=2.0)}, "the default must lie between"),
        ({"options": option(default="fast")}, "a word needs `allowed`"),
        ({"options": option(pattern="(a+)+$")}, "options.0.pattern: unknown field"),
        ({"help": "x" * 70_000}, "more than 65536 bytes"),
    ],
)
def test_what_is_wrong_is_said(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        read(**changes)


@pytest.mark.parametrize(
    "name",
    ["adamw", "a/adamw", "a/b@", "A/b@1", "a/B@1", "a/b@1 0", "a/b@1\n", "../b@1",
     "a/" + "b" * 25 + "@1", "a/µ@1", "a/b@1/c", "a" * 41 + "/b@1"],
)  # fmt: skip
def test_a_name_that_could_be_taken_for_something_else_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name of a plugin's entry"):
        names.parse(name)


def test_packages_are_compared_as_installers_compare_them() -> None:
    assert names.of_package("My_Own.Plugin") == "my-own-plugin"


def test_a_key_tells_versions_and_descriptions_apart() -> None:
    described = [
        Described(name=name, description=read(help=help))
        for name in ("a/b@1", "a/b@2")
        for help in ("One.", "Another.")
    ]
    assert len({one.key for one in described}) == 4
    assert Described.model_validate_json(described[0].model_dump_json()).key == described[0].key


def test_only_what_is_chosen_is_taken_for_a_plugin_s_entry() -> None:
    chosen = {"name": "a/model@1", "options": {"dataset": "a/data@1"}}
    study = {
        "name": "team/run@2",
        "arms": [{"model": chosen, "optimizers": [{"name": "a/steps@1"}, {"name": "sgd"}]}],
        "parametrizations": [{"name": "a/rule@1"}],
        "statistics": ["a/tails@1"],
    }
    assert names.named_in(json.dumps(study)) == {
        "a/model@1", "a/data@1", "a/steps@1", "a/rule@1", "a/tails@1",
    }  # fmt: skip
    run = {"variant": {"model": chosen, "optimizer": {"name": "a/steps@1"}}, "seed": 1}
    assert names.named_in(json.dumps(run)) == {"a/model@1", "a/data@1", "a/steps@1"}
    assert names.named_in('{"name": "team/run@2", "variant": "a/b@1"}') == frozenset()
