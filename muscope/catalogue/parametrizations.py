"""The parametrizations that can be chosen, with their switches."""

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from muscope.catalogue.options import Option
from muscope.catalogue.registry import Registry
from muscope.theory import complete_p, everett, lingle, mup, ntk, sp, tuning, u_mup
from muscope.theory.parametrizations import PARAMETRIZATIONS
from muscope.theory.rule import Parametrization

OperatorSet: TypeAlias = Literal["plain", "unit_scaled"]
"""What the forward of a model is made of; runs of different operators are not stacked."""


@dataclass(frozen=True, slots=True)
class ParametrizationEntry:
    """A parametrization and its switches; the rules themselves are in muscope.theory.

    One that a plugin describes brings its rules. `tuned` names the options that are numbers to be
    searched for: each multiplies something by the same at every width.
    """

    name: str
    title: str
    source: str
    options: tuple[Option, ...]
    described: Parametrization | None = None
    tuned: tuple[str, ...] = ()

    @property
    def theory(self) -> Parametrization:
        """The rules."""
        return self.described or PARAMETRIZATIONS[self.name]

    @property
    def operators(self) -> OperatorSet:
        """The operators that its rules are made for: u-µP's have scales of their own."""
        return "unit_scaled" if self.name == "u_mup" else "plain"


_ZERO_READOUT = "Start the readout at zero (no legal exceptions at initialization)."
_SP_UNEMBEDDING = Option(
    "sp_unembedding",
    False,
    "Start the readout as SP does, with logits of constant size (an ablation of Lingle 2024).",
    silent=True,
)
_RATES = Option(
    "rates",
    ntk.RATES[0],
    "Learning rates of the source's table, or one fixed rate for every width and weight.",
    allowed=ntk.RATES,
)


def _multiplier(name: str, default: float, help: str) -> Option:
    return Option(name, default, help, 1e-6, 1e6)


_TUNED = {
    tuning.INIT_STD: "Multiplies the standard deviation of every weight that starts at random.",
    tuning.EMBEDDING: "Multiplies what the embedding gives, beside the rule.",
    tuning.ATTENTION: "Multiplies q·k, beside the rule.",
    tuning.READOUT: "Multiplies the logits, beside the rule.",
    tuning.RESIDUAL: "Multiplies every branch, beside the rule.",
}
_OWN_WORDS: dict[str, dict[str, str]] = {
    "cerebras": {
        "base_std": tuning.INIT_STD,
        "embeddings_scale": tuning.EMBEDDING,
        "attention_logits_alpha": tuning.ATTENTION,
        "output_logits_alpha": tuning.READOUT,
    },
    "minicpm": {
        "base_std": tuning.INIT_STD,
        "scale_emb": tuning.EMBEDDING,
        "scale_depth": tuning.RESIDUAL,
    },
}
"""What a source calls by a name of its own, and has no second time by ours."""
_OF_U_MUP = (
    "alpha_attn_softmax",
    "alpha_ffn_act",
    "alpha_res",
    "alpha_res_attn_ratio",
    "alpha_loss_softmax",
)
"""The five multipliers that are left when abc-symmetry has taken all others (Blake et al. 2024)."""


_OPTIONS: dict[str, tuple[Option, ...]] = {
    "sp": (
        Option(
            "init",
            "lecun",
            "LeCun (He for hidden weights), PyTorch's default, or GPT-2's fixed 0.02.",
            allowed=sp.INITS,
            silent=True,
        ),
    ),
    "mup": (
        Option(
            "form",
            "table8",
            "Which of the three equivalent tables of the paper.",
            allowed=mup.FORMS,
            silent=True,
        ),
        Option(
            "trust_ratio_rate",
            "low_rank",
            "LAMB on hidden weights: 1/√m (Tensor Programs V, B.3) or 1 (arXiv 2602.20937).",
            allowed=mup.TRUST_RATIO_RATES,
            silent=True,
        ),
    ),
    "ntk": (_RATES,),
    "mean_field": (_RATES,),
    "spectral": (),
    "nanotron": (),
    "cerebras": (
        _multiplier("base_std", 0.08, "Standard deviation in the base model."),
        _multiplier("embeddings_scale", 10.0, "Multiplies the embeddings."),
        _multiplier("output_logits_alpha", 1.0, "Multiplies the logits, beside the width's rule."),
        Option("scale_output_logits_by_d", True, "Logits by 1/m; off: by 1/√m."),
        Option("scale_qk_dot_by_d", True, "q·k by 1/d, as the tools do; off: 1/√d, as printed."),
        _multiplier("attention_logits_alpha", 1.0, "Multiplies q·k, beside the rule."),
        *(
            Option(group, 0.0, f"{of}: this learning-rate factor instead of 1/m; 0: 1/m.", 0.0, 1e6)
            for group, of in (
                ("decoder_attention", "Attention"),
                ("decoder_input_ffn", "First feed-forward matrix"),
                ("decoder_output_ffn", "Last feed-forward matrix"),
            )
        ),
    ),
    "minicpm": (
        _multiplier("base_std", 0.1, "Standard deviation in the base model."),
        _multiplier("scale_emb", 12.0, "Multiplies the embeddings."),
        _multiplier("scale_depth", 1.4, "Branches are multiplied by this over √depth."),
        Option("all_are_2d", False, "Embedding and readout scale like hidden weights too."),
    ),
    "lingle": (
        Option(
            "optim_rule",
            "mup",
            "Learning rates by the ratio to the base, or by the width itself.",
            allowed=lingle.OPTIM_RULES,
        ),
    ),
    "everett": (
        Option(
            "form", "sp", "Whose multipliers and initialization to take.", allowed=everett.FORMS
        ),
        Option(
            "alignment",
            "full",
            "How far updates align with their inputs: fully, or not at all.",
            allowed=everett.ALIGNMENTS,
        ),
    ),
    "depth_mup": (),
    "complete_p": (
        Option(
            "alpha",
            complete_p.ALPHAS[0],
            "Branches are divided by the depth ratio to this power; CompleteP is 1.",
            allowed=complete_p.ALPHAS,
        ),
    ),
    "u_mup": (
        _multiplier("alpha_attn_softmax", 1.0, "Multiplies q·k, beside 1/d."),
        *(
            replace(_multiplier(name, 1.0, help), silent=True)
            for name, help in (
                ("alpha_ffn_act", "Multiplies the input of the feed-forward's nonlinearity."),
                ("alpha_res", "All branches over the embedding, by their size in the stream."),
                ("alpha_res_attn_ratio", "Attention branches over feed-forward branches."),
                ("alpha_loss_softmax", "Multiplies the logits in the loss."),
            )
        ),
        Option(
            "readout_constraint",
            u_mup.READOUT_CONSTRAINTS[0],
            "Whether the readout's backward scale follows its forward scale (SGD only).",
            allowed=u_mup.READOUT_CONSTRAINTS,
        ),
    ),
}


def _entry(theory: Parametrization, options: tuple[Option, ...]) -> ParametrizationEntry:
    zero_readout = Option("zero_readout", theory.name == "mup", _ZERO_READOUT)
    own = _OWN_WORDS.get(theory.name, {})
    left = [name for name in _TUNED if name not in own.values()]
    if theory.name == "u_mup":
        own, left = dict.fromkeys(_OF_U_MUP, ""), []
    tuned = (replace(_multiplier(name, 1.0, _TUNED[name]), silent=True) for name in left)
    return ParametrizationEntry(
        name=theory.name,
        title=theory.title,
        source=theory.source,
        options=(zero_readout, _SP_UNEMBEDDING, *options, *tuned),
        tuned=(*own, *left),
    )


def described(theory: Parametrization, options: tuple[Option, ...]) -> ParametrizationEntry:
    """The entry of rules that a plugin describes: with the switches that every one has."""
    return replace(_entry(theory, options), described=theory)


PARAMETRIZATION_ENTRIES: Registry[ParametrizationEntry] = Registry(
    (name, _entry(theory, _OPTIONS[name])) for name, theory in PARAMETRIZATIONS.items()
)
"""What a study can ask for and `muscope rules` can print."""
