"""The form of a new study: nothing typed is lost, every mistake is told beside its field."""

import json

import httpx
import pytest
import yaml

from muscope import catalogue
from muscope.presets import demo
from muscope.settings import Settings
from muscope.spec import StudySpec
from muscope.storage import studies
from muscope.storage.database import open_database
from muscope_server import forms, urls
from tests.server import measured
from tests.server.running import Running
from tests.server.soup import Soup
from tests.server.world import World


def test_the_form_opens_filled_in_with_a_plan_beside_it(world: World) -> None:
    page = world.soup("/studies/new")
    assert page.inputs["widths"] == "64, 128, 256, 512"
    assert page.inputs["model.gpt"] == "on"
    assert "model.mlp" not in page.checked
    assert "runs 40" in page.text
    assert "parameters of the largest 6.59 M" in page.text


def test_a_study_is_submitted_as_it_was_typed(server: Running, visitor: httpx.Client) -> None:
    answer = visitor.post("/studies/new", data=forms.from_spec(measured.small()))
    assert answer.status_code == 303
    assert _stored(server.settings, answer.headers["location"]) == measured.small()


def test_two_clicks_make_one_study_and_another_spec_makes_another(
    server: Running, visitor: httpx.Client
) -> None:
    typed = forms.from_spec(measured.small()) | {"key": "of this form"}
    first, again = (visitor.post("/studies/new", data=typed) for _ in range(2))
    other = visitor.post("/studies/new", data=typed | {"seeds": "3"})
    assert first.headers["location"] == again.headers["location"] != other.headers["location"]


def test_errors_stand_beside_their_field_and_nothing_typed_is_lost(world: World) -> None:
    typed = forms.from_spec(measured.small()) | {"widths": "64, wide", "name": "Mine & yours"}
    typed["model.mlp.batch_size"] = "70000"
    answer = world.visitor.post("/studies/new", data=typed)
    page = Soup(answer.text)
    assert answer.status_code == 422
    assert page.inputs["name"] == "Mine & yours"
    assert page.inputs["widths"] == "64, wide"
    assert "'wide'" in page.by_id("widths-error")


@pytest.mark.parametrize(
    ("field", "value", "beside", "says"),
    [
        ("model.mlp.batch_size", "70000", "model.mlp.batch_size", "65536"),
        ("model.mlp.sgd.learning_rates", "0.1, -1", "model.mlp.sgd.learning_rates", "greater"),
        ("model.mlp.sgd.option.momentum", "2", "model.mlp.sgd.option.momentum", "between"),
        ("widths", "64, 64", "widths", "twice"),
        ("widths", "9" * 4000, "widths", "whole number"),
        ("seeds", "", "seeds", "whole number"),
        ("depths", "0", "depths", "at least 1"),
        ("name", "", "name", "at least 1"),
        ("base_width", "4096", "base_width", "larger than every one of the widths"),
        ("base_depth", "9", "base_depth", "larger than every one of the depths"),
        ("steps", "1e400", "steps", "whole number"),
        ("yaml", "widths: [1", "yaml", "expected"),
        ("yaml", "name: x\nspeed: 3", "yaml", "speed: unknown field"),
        (
            "yaml",
            "arms: [{model: {name: mlp, batch_size: 0}}]",
            "yaml",
            "arms[0].model.batch_size:",
        ),
    ],
)
def test_each_mistake_is_explained_where_it_was_made(
    field: str, value: str, beside: str, says: str
) -> None:
    typed = forms.from_spec(measured.small()) | {field: value}
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(typed)
    assert says in caught.value.errors[beside]


def test_every_mistake_is_told_in_one_round() -> None:
    typed = forms.from_spec(demo.demo()) | {
        "name": "", "seeds": "many", "widths": "64, 100, wide", "base_width": "4096",
        "model.gpt.adamw.learning_rates": "-1, nan",
    }  # fmt: skip
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(typed)
    errors = caught.value.errors
    assert set(errors) == {
        "name", "seeds", "widths", "base_width", "model.gpt.option.head_size",
        "model.gpt.adamw.learning_rates",
    }  # fmt: skip
    assert "'wide'" in errors["widths"]
    assert "100 is not a multiple of the head size 32" in errors["widths"]
    assert "greater than 0.0, got -1.0" in errors["model.gpt.adamw.learning_rates"]
    assert "'nan'" in errors["model.gpt.adamw.learning_rates"]


@pytest.mark.parametrize(
    ("option", "value"),
    [("dataset", ""), ("dataset", "nope"), ("head_size", "0"), ("queries_per_key", "0")],
)
def test_a_wrong_option_is_told_before_widths_are_compared_by_it(option: str, value: str) -> None:
    field = f"model.gpt.option.{option}"
    typed = forms.from_spec(measured.small()) | {"model.gpt": "on", "model.gpt.adamw": "on"}
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(typed | {field: value})
    assert any(option in where + error for where, error in caught.value.errors.items())


def test_a_long_list_of_mistakes_is_explained_by_the_first_few() -> None:
    typed = forms.from_spec(demo.demo()) | {"widths": ", ".join(map(str, range(33, 60)))}
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(typed)
    assert caught.value.errors["widths"].count("not a multiple") == forms.MOST_COMPLAINTS


def test_the_summary_of_mistakes_links_to_their_fields_in_the_order_of_the_page(
    world: World,
) -> None:
    typed = forms.from_spec(measured.small()) | {"steps": "x", "name": "", "model.gpt": "on"}
    page = Soup(world.visitor.post("/studies/new", data=typed).text)
    fields = [link.removeprefix("#") for link in page.links if link.startswith("#")]
    assert fields == ["main", "name", "model.gpt.optimizers", "steps"]
    assert "choose at least one optimizer" in page.by_id("model.gpt.optimizers")


def test_a_base_width_that_is_no_width_is_pointed_out_in_the_plan(world: World) -> None:
    typed = forms.from_spec(measured.small()) | {"base_width": "96"}
    headers = {"HX-Request": "true"}
    panel = Soup(world.visitor.post("/studies/plan", data=typed, headers=headers).text).text
    assert "base width 96 is none of the widths" in panel
    assert forms.hints(measured.small()) == []


def test_a_choice_that_is_missing_is_asked_for() -> None:
    typed = {"name": "x", "widths": "64, 128", "depths": "1", "seeds": "2", "steps": "2"}
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(typed)
    assert {"models", "parametrizations"} <= set(caught.value.errors)


@pytest.mark.parametrize("spec", [measured.small(), demo.demo()], ids=["small", "demo"])
def test_the_form_gives_back_the_spec_it_was_filled_from(spec: StudySpec) -> None:
    assert forms.parse(forms.filled(spec).values) == spec


def test_batch_sizes_are_typed_as_a_list_and_come_back() -> None:
    typed = forms.from_spec(measured.small()) | {"batch_sizes": "32, 8"}
    spec = forms.parse(typed)
    assert spec.batch_sizes == (8, 32)
    assert forms.parse(forms.filled(spec).values) == spec
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(typed | {"batch_sizes": "0"})
    assert "at least 1" in caught.value.errors["batch_sizes"]


def test_every_optimizer_of_the_catalogue_can_be_ticked_on_the_form() -> None:
    ticked = {f"model.mlp.{name}": "on" for name in catalogue.OPTIMIZERS}
    spec = forms.parse(forms.from_spec(measured.small()) | ticked)
    assert [optimizer.name for optimizer in spec.arms[0].optimizers] == list(catalogue.OPTIMIZERS)
    assert forms.parse(forms.filled(spec).values) == spec


def test_every_parametrization_of_the_catalogue_can_be_ticked_on_the_form() -> None:
    entries = catalogue.PARAMETRIZATION_ENTRIES
    ticked = {f"parametrization.{name}": "on" for name in entries}
    spec = forms.parse(forms.blank().values | ticked)
    assert [parametrization.name for parametrization in spec.parametrizations] == list(entries)
    assert forms.parse(forms.filled(spec).values) == spec


def test_a_choice_is_a_list_to_choose_from(world: World) -> None:
    page = world.visitor.get("/studies/new").text
    assert '<select id="parametrization.mup.option.form"' in page
    assert '<option value="table8" selected>' in page
    typed = forms.blank().values | {"parametrization.mup.option.form": "table9"}
    assert forms.parse(typed).parametrizations[1].options["form"] == "table9"
    with pytest.raises(forms.FormErrors, match="must be one of table8, table3, table9"):
        forms.parse(typed | {"parametrization.mup.option.form": "table4"})


def test_the_plan_panel_answers_alone_for_the_live_form_and_as_a_page_without_scripts(
    world: World,
) -> None:
    typed = forms.from_spec(measured.small())
    panel = world.visitor.post("/studies/plan", data=typed, headers={"HX-Request": "true"}).text
    page = world.visitor.post("/studies/plan", data=typed).text
    assert Soup(panel).first("dd") == Soup(page).first("dd") == "16"
    assert "<html" not in panel
    assert "2 seeds" in panel, "a warning of the plan"
    text = Soup(panel).by_id("spec-yaml")
    assert StudySpec.model_validate_json(json.dumps(yaml.safe_load(text))) == measured.small()


def test_a_pasted_yaml_takes_precedence(server: Running, visitor: httpx.Client) -> None:
    text = yaml.safe_dump(measured.small("From YAML").model_dump(mode="json"), allow_unicode=True)
    answer = visitor.post("/studies/new", data={"name": "ignored", "yaml": text})
    assert answer.status_code == 303
    assert _stored(server.settings, answer.headers["location"]).name == "From YAML"


def test_a_clone_starts_from_the_study(world: World) -> None:
    page = world.soup(urls.clone(world.study_id))
    assert page.inputs["model.mlp.batch_size"] == "8"
    assert page.inputs["seeds"] == "2"
    world.soup("/studies/new?clone=nothing", status=404)


def _stored(settings: Settings, location: str) -> StudySpec:
    database = open_database(settings)
    with database.read() as conn:
        row = studies.get(conn, location.rsplit("/", 1)[1])
    database.close()
    assert row is not None
    return row.spec


def test_a_study_that_may_stop_early_is_submitted_and_cloned_so(world: World) -> None:
    spec = measured.small().model_copy(update={"stop_early": True})
    typed = forms.from_spec(spec)
    assert forms.parse(typed) == spec
    assert forms.parse({k: v for k, v in typed.items() if k != "stop_early"}) == measured.small()
    assert "stop_early" not in world.soup("/studies/new").checked


def test_every_how_many_steps_are_recorded_is_typed_and_comes_back() -> None:
    typed = forms.from_spec(measured.small()) | {"record_every": "2"}
    spec = forms.parse(typed)
    assert spec.record_every == 2
    assert forms.parse(forms.from_spec(spec)) == spec
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(typed | {"record_every": "0"})
    assert "at least 1" in caught.value.errors["record_every"]
    sweep = typed | {"kind": "lr_transfer", "octaves": "-1, 0, 1"}
    assert forms.parse(sweep).record_every is None
