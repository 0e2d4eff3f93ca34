"""What does not go together is refused with a sentence that names the rule."""

import pytest

from muscope import catalogue
from muscope.catalogue import OptionValue
from muscope.catalogue.rules import Choice, Size, complaint, dimensions, tied_multiplier
from muscope.catalogue.rules import weight_rules as rules_of


def choice(name: str, **given: OptionValue) -> Choice:
    return Choice(name, {"zero_readout": False, **given})


def tied(name: str, optimizer: str = "adamw", **given: OptionValue) -> str | None:
    return complaint(choice(name, **given), optimizer, "gpt", gpt(tied_embeddings=True))


def gpt(**given: OptionValue) -> catalogue.Options:
    return {**catalogue.with_defaults({}, catalogue.MODELS["gpt"].options), **given}


# Facts 2.4 and pitfalls 5 and 6: one weight, so one std and one learning rate.
@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("mup", {}),
        ("mup", {"form": "table9"}),
        ("mean_field", {}),
        ("sp", {"init": "gpt2"}),
        ("cerebras", {}),
        ("minicpm", {}),
        ("depth_mup", {}),
        ("complete_p", {}),
        ("everett", {"form": "mup"}),
    ],
)
def test_tables_in_which_embedding_and_readout_share_their_rules_may_tie_them(
    name: str, given: dict[str, OptionValue]
) -> None:
    assert tied(name, **given) is None


@pytest.mark.parametrize(
    ("name", "given", "why"),
    [
        ("mup", {"form": "table3"}, "different learning-rate factors, 1 and 0.25"),
        ("lingle", {}, "different learning-rate factors, 1 and 0.25"),
        ("sp", {}, "stds whose ratio changes by 0.5"),
        ("sp", {"init": "pytorch"}, "stds whose ratio changes by 0.5"),
        ("spectral", {}, "different learning-rate factors, 1 and 0.25"),
        ("nanotron", {}, "different learning-rate factors"),
        ("u_mup", {}, "different learning-rate factors"),
        ("ntk", {}, "different learning-rate factors, 1 and 0.5"),
        ("mup", {"sp_unembedding": True}, "stds whose ratio changes by 2"),
    ],
)
def test_the_others_may_not_and_the_sentence_says_what_differs(
    name: str, given: dict[str, OptionValue], why: str
) -> None:
    refusal = tied(name, **given)
    assert refusal is not None
    assert refusal.startswith(f"parametrization '{name}'")
    assert why in refusal
    assert "set tied_embeddings to false" in refusal


def test_it_depends_on_the_optimizer_where_the_rates_do() -> None:
    assert tied("ntk", "sgd") is None
    assert tied("mup", "sgd") is None
    assert tied("mup", "muon") is None
    assert "sgd" in (tied("mup", "sgd", form="table3") or "")


def test_a_zero_readout_cannot_be_tied() -> None:
    refusal = complaint(Choice("mup", {}), "adamw", "gpt", gpt(tied_embeddings=True))
    assert refusal is not None
    assert "set zero_readout to false" in refusal


@pytest.mark.parametrize(
    ("name", "given"),
    [("mup", {}), ("mup", {"form": "table9"}), ("cerebras", {"output_logits_alpha": 3.0})],
)
@pytest.mark.parametrize("width", [64, 256, 1024])
def test_tied_logits_start_as_large_as_those_of_a_readout(
    name: str, given: dict[str, OptionValue], width: int
) -> None:
    size, chosen = Size(width, 1, 64, 1), choice(name, **given)
    apart = rules_of(chosen, "adamw", dimensions("gpt", gpt(), size))
    readout, embedding = apart["readout"], apart["embedding.token"]
    multiplier = tied_multiplier(chosen, "adamw", "gpt", gpt(tied_embeddings=True), size)
    assert multiplier * embedding.init_std == pytest.approx(readout.multiplier * readout.init_std)


def test_a_multiplier_is_not_given_where_there_is_none() -> None:
    with pytest.raises(ValueError, match="cannot tie embedding and readout"):
        tied_multiplier(
            choice("lingle"), "adamw", "gpt", gpt(tied_embeddings=True), Size(64, 1, 64, 1)
        )


def test_a_readout_cannot_start_at_zero_and_as_in_sp() -> None:
    refusal = complaint(Choice("mup", {"sp_unembedding": True}), "adamw", "gpt", gpt())
    assert refusal is not None
    assert "of zero_readout and sp_unembedding set one to false" in refusal
    assert complaint(choice("mup", sp_unembedding=True), "adamw", "gpt", gpt()) is None


def test_nanotron_is_refused_for_biases_and_not_for_gains() -> None:
    refusal = complaint(choice("nanotron"), "adamw", "gpt", gpt(biases=True))
    assert refusal is not None
    assert "stops at one with a single dimension; take a model without biases" in refusal
    assert complaint(choice("nanotron"), "adamw", "gpt", gpt(norm_gains="vector")) is None


@pytest.mark.parametrize("given", [{"biases": True}, {"norm_gains": "vector"}, {"heads": 1}])
@pytest.mark.parametrize("optimizer", catalogue.OPTIMIZERS)
def test_every_optimizer_fits_every_vector_under_mup(
    optimizer: str, given: dict[str, OptionValue]
) -> None:
    assert complaint(choice("mup"), optimizer, "gpt", gpt(**given)) is None


def test_every_parametrization_names_its_operators() -> None:
    scaled = {
        name
        for name, entry in catalogue.PARAMETRIZATION_ENTRIES.items()
        if entry.operators == "unit_scaled"
    }
    assert scaled == {"u_mup"}


def test_sophia_needs_a_softmax_to_draw_labels_from() -> None:
    squares = catalogue.MODELS["mlp"].complete({"loss": "mse"})
    refusal = complaint(choice("mup"), "sophia", "mlp", squares)
    assert refusal is not None
    assert "Set loss to 'cross_entropy', or take 'adamw'" in refusal
    assert complaint(choice("mup"), "adamw", "mlp", squares) is None
    assert complaint(choice("mup"), "sophia", "mlp", catalogue.MODELS["mlp"].complete({})) is None


def test_sophia_needs_gradients_that_are_the_losss() -> None:
    llama = catalogue.MODELS["llama"].complete({})
    refusal = complaint(Choice("u_mup", {}), "sophia", "llama", llama)
    assert refusal is not None
    assert "rescales gradients on their way back" in refusal
    assert complaint(Choice("u_mup", {}), "adamw", "llama", llama) is None


MLP = ("mlp", catalogue.MODELS["mlp"].complete({}))
BIASES = ("mlp", catalogue.MODELS["mlp"].complete({"biases": True}))
QUERY = ("gpt", catalogue.MODELS["gpt"].complete({"zero_query": True}))


@pytest.mark.parametrize("optimizer", ["lamb", "adafactor"])
@pytest.mark.parametrize(
    ("name", "given", "model", "switch"),
    [
        ("mup", {"form": "table3", "zero_readout": True}, MLP, "zero_readout"),
        ("mup", {"form": "table9", "zero_readout": True}, MLP, "zero_readout"),
        ("spectral", {"zero_readout": True}, MLP, "zero_readout"),
        ("mup", {"form": "table9"}, BIASES, "biases"),
        ("mup", {}, QUERY, "zero_query"),
    ],
)
def test_a_share_of_zero_is_refused_where_its_rate_is_not_that_of_an_amount(
    optimizer: str,
    name: str,
    given: dict[str, OptionValue],
    model: tuple[str, catalogue.Options],
    switch: str,
) -> None:
    """One factor for a first update of fixed size and for later ones that are shares of it."""
    refusal = complaint(choice(name, **given), optimizer, *model)
    assert refusal is not None
    assert "it starts at zero, where the update is a fixed amount" in refusal
    assert f"Set {switch} to false" in refusal
    assert complaint(choice(name, **given), "adamw", *model) is None


# Where both rates are one the first update fits, so µP's defaults go on working.
@pytest.mark.parametrize(
    ("name", "optimizer", "model"),
    [
        ("mup", "lamb", BIASES),
        ("mup", "adafactor", BIASES),
        ("mean_field", "lamb", QUERY),
        ("mean_field", "adafactor", QUERY),
        ("ntk", "adafactor", QUERY),
        ("sp", "lamb", QUERY),
    ],
)
def test_a_share_of_zero_is_fine_where_the_two_rates_agree(
    name: str, optimizer: str, model: tuple[str, catalogue.Options]
) -> None:
    assert complaint(choice(name, zero_readout=True), optimizer, *model) is None


@pytest.mark.parametrize("name", ["depth_mup", "complete_p"])
def test_rules_of_depth_are_refused_for_norms_after_the_sum(name: str) -> None:
    refusal = complaint(choice(name), "adamw", "gpt", gpt(norm_placement="post"))
    assert refusal is not None
    assert "Set norm_placement to 'pre'" in refusal
    assert complaint(choice("mup"), "adamw", "gpt", gpt(norm_placement="post")) is None


# Facts 2.10 and 2.11: Shampoo's epsilon 1/r and 1/r^2 in a branch, of what it adds to products of
# gradients; SOAP adds its own to their root.
@pytest.mark.parametrize(
    ("name", "optimizer", "factor"),
    [
        ("depth_mup", "shampoo", 1 / 4),
        ("depth_mup", "soap", 1 / 2),
        ("complete_p", "shampoo", 1 / 16),
        ("complete_p", "soap", 1 / 4),
    ],
)
def test_epsilon_goes_with_what_it_is_added_to(name: str, optimizer: str, factor: float) -> None:
    size = Size(256, 8, 64, 2)
    found = rules_of(choice(name), optimizer, dimensions("gpt", gpt(), size))
    assert found["blocks.0.attn.q"].epsilon_factor == pytest.approx(factor)
    assert found["readout"].epsilon_factor == pytest.approx(1 / 4)  # AdamW's, 1/m
