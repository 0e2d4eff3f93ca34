"""The form's fields of data, batches and schedules."""

from typing import get_args

import pytest

from muscope.spec import Batches
from muscope_server import forms
from tests.server import measured


def test_every_choice_of_batches_has_its_words() -> None:
    assert set(forms.BATCHES) == set(get_args(Batches))


def test_data_batches_and_schedules_survive_the_form() -> None:
    chosen = {
        "model.gpt": "on",
        "model.gpt.adamw": "on",
        "model.gpt.option.dataset": "text_file",
        "model.gpt.option.dataset_name": "books/tale.txt",
        "model.gpt.adamw.option.schedule": "wsd_sqrt",
        "batches": "fresh",
        "widths": "64, 128",
    }
    spec = forms.parse(forms.from_spec(measured.small()) | chosen)
    (gpt,) = [arm for arm in spec.arms if arm.model.name == "gpt"]
    assert gpt.model.options["dataset_name"] == "books/tale.txt"
    assert gpt.optimizers[0].options["schedule"] == "wsd_sqrt"
    assert spec.batches == "fresh"
    assert forms.parse(forms.from_spec(spec)) == spec


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/passwd"])
def test_a_path_is_refused_beside_its_field(name: str) -> None:
    typed = forms.from_spec(measured.small()) | {
        "model.gpt": "on",
        "model.gpt.adamw": "on",
        "model.gpt.option.dataset": "text_file",
        "model.gpt.option.dataset_name": name,
        "widths": "64, 128",
    }
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(typed)
    assert any("dataset_name" in error for error in caught.value.errors.values())


def test_the_least_warmup_that_is_too_long_is_refused_in_words() -> None:
    typed = forms.from_spec(measured.small())
    fields = [name for name in typed if name.endswith(".option.warmup_steps")]
    with pytest.raises(forms.FormErrors) as caught:
        forms.parse(typed | dict.fromkeys(fields, "100") | {"steps": "99"})
    assert any("longer than the run of 99" in error for error in caught.value.errors.values())
