"""A spec is strict about what it takes, names what it refuses, and has one way to be written."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from muscope import plan
from muscope.presets.demo import demo
from muscope.spec import StudySpec, canonical_json, digest, stored

DEMO_DIGEST = "7d8dd7011265b5e109159fbfe500ef366e7a3a1b2e9e4aedc2778fd318dc5a4e"


def data(**changes: object) -> dict[str, Any]:
    """The demo as JSON would hold it, with changes; what is None is left out."""
    merged = {**demo().model_dump(mode="json"), **changes}
    return {name: value for name, value in merged.items() if value is not None}


def parsed(content: dict[str, Any]) -> StudySpec:
    return StudySpec.model_validate_json(json.dumps(content))


def refusal(content: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        parsed(content)
    return str(caught.value)


@pytest.mark.parametrize("width", [True, "64", 64.0, 64.5, None, [64], 0, -64, 65_537, 10**30])
def test_a_width_is_a_whole_number_within_its_limits(width: object) -> None:
    assert "widths.0" in refusal(data(widths=[width, 128], base_width=None))


@pytest.mark.parametrize("rate", [0, -1e-3, True, "3e-3", float("nan"), float("inf"), 1e7])
def test_a_learning_rate_is_a_positive_finite_number(rate: object) -> None:
    content = data()
    content["arms"][0]["optimizers"][0]["learning_rate"] = rate
    assert "learning_rate" in refusal(content)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 2),
        ("version", True),
        ("kind", "sweep"),
        ("seeds", 0),
        ("seeds", 65),
        ("steps", 0),
        ("steps", 100_001),
        ("widths", [64]),
        ("widths", [64, 64]),
        ("depths", []),
        ("depths", [0]),
        ("arms", []),
        ("parametrizations", []),
    ],
)
def test_what_is_out_of_its_limits_is_refused_by_name(name: str, value: object) -> None:
    assert name in refusal(data(**{name: value}, base_width=None, base_depth=None))


@pytest.mark.parametrize("name", ["", " ", "a\nb", "a\u202eb", "e\u0301", "x" * 121])
def test_a_name_is_short_printable_text(name: str) -> None:
    assert "name" in refusal(data(name=name))


def test_an_unknown_field_is_named() -> None:
    assert "width_list" in refusal(data(width_list=[64]))


def test_what_the_catalogue_lacks_is_named_with_what_it_has() -> None:
    content = data()
    content["arms"][0]["optimizers"][0]["name"] = "lino"
    message = refusal(content)
    assert "unknown optimizer 'lino'" in message
    assert "adamw, sgd" in message


def test_a_width_that_does_not_fit_the_model_is_refused() -> None:
    assert "width 100 is not a multiple of the head size 32" in refusal(data(widths=[64, 100]))


def test_a_base_larger_than_every_width_is_refused() -> None:
    assert "base_width 1024" in refusal(data(base_width=1024))


def test_a_pair_that_no_source_covers_is_refused_at_submission() -> None:
    content = data(parametrizations=[{"name": "cerebras"}])
    content["arms"][0]["optimizers"] = [{"name": "sgd", "learning_rate": 0.1}]
    message = refusal(content)
    assert "optimizer 'sgd': no source gives parametrization 'cerebras'" in message
    assert "allowed: sign_like" in message


def test_a_depth_rule_is_refused_for_a_model_without_branches() -> None:
    content = data(parametrizations=[{"name": "complete_p"}])
    assert "'complete_p' scales residual branches, and model 'mlp' has none" in refusal(content)


def test_a_silent_option_at_its_default_leaves_the_digest_as_it_was() -> None:
    def mup(**options: str) -> StudySpec:
        return parsed(data(parametrizations=[{"name": "mup", "options": options}]))

    assert digest(mup(form="table8")) == digest(mup())
    assert digest(mup(form="table3")) != digest(mup())
    assert "µP (table3)" in mup(form="table3").variants[0].label


def test_the_same_variant_twice_is_refused() -> None:
    assert "twice" in refusal(data(parametrizations=[{"name": "sp"}, {"name": "sp"}]))


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        demo().seeds = 3


def test_a_spec_survives_its_own_json() -> None:
    assert parsed(json.loads(canonical_json(demo()))) == demo()


def test_equal_specs_have_equal_digests_however_they_were_written() -> None:
    backwards = dict(reversed(list(data(widths=[512, 64, 256, 128]).items())))
    assert digest(parsed(backwards)) == digest(demo())
    assert digest(parsed(data(base_width=None, base_depth=None))) == digest(demo())


def test_every_field_is_part_of_the_digest() -> None:
    changes: list[dict[str, object]] = [
        {"seeds": 4},
        {"steps": 3},
        {"name": "x"},
        {"depths": [1, 2]},
    ]
    digests = {digest(parsed(data(**change))) for change in changes}
    assert len(digests | {digest(demo())}) == len(changes) + 1


def test_the_digest_of_the_demo_is_what_it_was() -> None:
    """A digest that changes loses every idempotency key and stored study: do it knowingly."""
    assert digest(demo()) == DEMO_DIGEST


def test_what_came_later_is_left_out_at_its_default_and_written_otherwise() -> None:
    more = demo().model_copy(update={"record": "full"})
    assert "record" not in canonical_json(demo())
    assert digest(parsed(data(record="activations"))) == DEMO_DIGEST
    assert digest(more) != DEMO_DIGEST
    assert StudySpec.model_validate_json(canonical_json(more)) == more
    assert {run.record for run in plan.runs(more)} == {"full"}


def test_keys_of_variants_are_unique_and_fit_for_a_url() -> None:
    keys = [variant.key for variant in demo().variants]
    assert len(set(keys)) == len(keys)
    assert all(set(key) <= set("abcdefghijklmnopqrstuvwxyz0123456789-._+") for key in keys)


def test_a_stored_spec_is_read_even_if_its_rules_would_be_refused_today() -> None:
    arm = demo().arms[0].model_dump(mode="json")
    content = data(
        arms=[{**arm, "optimizers": [{"name": "lamb", "learning_rate": 0.01}]}],
        parametrizations=[{"name": "mup", "options": {"form": "table3"}}],
    )
    assert "starts at zero" in refusal(content)
    assert stored(json.dumps(content)).variants[0].optimizer.name == "lamb"
    with pytest.raises(ValidationError, match="larger than every width"):
        stored(json.dumps({**content, "base_width": 4096}))


def test_batch_sizes_multiply_the_runs_and_leave_the_digest_of_those_without() -> None:
    one, several = parsed(data()), parsed(data(batch_sizes=[32, 8]))
    assert "batch_size" not in canonical_json(next(plan.runs(one))).replace(
        canonical_json(one.variants[0]), ""
    )
    assert several.batch_sizes == (8, 32)
    assert several.run_count == 2 * one.run_count == len(list(plan.runs(several)))
    assert {run.model.batch_size for run in plan.runs(several)} == {8, 32}
    assert several.variants == one.variants


def test_runs_of_one_bundle_have_one_batch_size_and_larger_batches_cost_more() -> None:
    planned = plan.plan(parsed(data(batch_sizes=[8, 32])))
    sizes = [{run.model.batch_size for run in bundle.runs} for bundle in planned.bundles]
    assert {len(found) for found in sizes} == {1}
    by_size = {
        size: sum(b.flops for b, found in zip(planned.bundles, sizes, strict=True) if size in found)
        for size in (8, 32)
    }
    assert 3 < by_size[32] / by_size[8] <= 4  # updates cost the same


@pytest.mark.parametrize(("sizes", "word"), [([0], "batch_sizes"), ([8, 8], "twice")])
def test_batch_sizes_are_distinct_whole_numbers(sizes: list[int], word: str) -> None:
    assert word in refusal(data(batch_sizes=sizes))


def test_a_coordinate_check_has_no_axes_of_a_study_of_learning_rates() -> None:
    for name, values in (("sequence_lengths", [16, 32]), ("step_counts", [2, 4])):
        assert f"{name} is for studies of kind lr_transfer" in refusal(data(**{name: values}))


def test_what_is_recorded_every_so_many_steps_is_of_each_run_and_silent_without() -> None:
    some = parsed(data(record_every=2))
    assert {run.recorded_steps for run in plan.runs(some)} == {(0, 2, 4)}
    assert "record_every" not in canonical_json(demo())
    assert digest(some) != DEMO_DIGEST
    assert digest(parsed(data(record_every=1))) == DEMO_DIGEST  # all of 4 steps are recorded
    assert parsed(data(record_every=1, steps=40)).record_every == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"record_every": 0}, "record_every"),
        ({"record_every": 10_001}, "record_every"),
        ({"record_every": 9, "steps": 10_000}, "are 1113 recorded steps, more than 1024; take at"),
        (
            {"record_every": 9, "kind": "lr_transfer", "octaves": [-1, 0, 1]},
            "record_every is for coordinate checks",
        ),
    ],
)
def test_too_many_recorded_steps_are_refused(changes: dict[str, object], words: str) -> None:
    assert words in refusal(data(**changes))
    fewest = data(record_every=10, steps=10_000)
    assert len(next(plan.runs(parsed(fewest))).recorded_steps) == 1001
