"""The rows of the tables of docs/facts.md 5.1, 5.3, 5.4 and 6, as studies of the lab."""

from dataclasses import dataclass, field

from muscope.catalogue import Options
from muscope.spec import ModelSpec, OptimizerSpec, ParametrizationSpec, Variant

NARROW = (256, 512, 1024)
WIDE = (256, 512, 1024, 2048)


@dataclass(frozen=True, eq=False)
class Row:
    """One variant. `quick` are the widths (or depths) of `make test`; none: only `make test-slow`.

    `besides` are activations whose change has another exponent at the widths of the table, with
    the reason beside it.
    """

    title: str
    parametrization: str
    optimizer: str
    learning_rate: float
    options: Options = field(default_factory=dict)
    model: Options = field(default_factory=dict)
    quick: tuple[int, ...] = ()
    steps: int = 1
    besides: tuple[str, ...] = ()

    def variant(self, model: str, batch_size: int, options: Options) -> Variant:
        """The row as a variant of one model."""
        own = {"zero_readout": False, **self.options}
        return Variant(
            model=ModelSpec(name=model, batch_size=batch_size, options={**options, **self.model}),
            parametrization=ParametrizationSpec(name=self.parametrization, options=own),
            optimizer=OptimizerSpec(name=self.optimizer, learning_rate=self.learning_rate),
        )


# The input's update is the smaller the wider the model is, and pushes the first hidden layer where
# its own update pushes it: (1 + 71/n) times as far. See the law in the tests.
BENT = ("hidden.0",)
FIXED: Options = {"rates": "fixed"}
TABLE_3: Options = {"form": "table3"}
TABLE_9: Options = {"form": "table9"}
ZERO_READOUT: Options = {"zero_readout": True}
FULL_RANK: Options = {"trust_ratio_rate": "full_rank"}

# Learning rates of verify_exponents.py: small where sizes grow, large where they should not.
MLP = (
    Row("SP, SGD", "sp", "sgd", 1e-3, besides=BENT),
    Row("SP, AdamW", "sp", "adamw", 1e-5, quick=WIDE),
    Row("SP, Lion", "sp", "lion", 1e-5),
    Row("SP, Sophia", "sp", "sophia", 1e-5),
    Row("SP of fixed std 0.02, AdamW", "sp", "adamw", 1e-5, {"init": "gpt2"}),
    Row("NTK, SGD", "ntk", "sgd", 0.1, quick=NARROW),
    Row("NTK of fixed rates, AdamW", "ntk", "adamw", 1e-4, FIXED),
    Row("NTK, AdamW", "ntk", "adamw", 1e-3),
    Row("Mean field of fixed rates, SGD", "mean_field", "sgd", 0.1, FIXED, quick=NARROW),
    Row("Mean field, SGD", "mean_field", "sgd", 0.1),
    Row("Mean field, AdamW", "mean_field", "adamw", 1e-3, quick=NARROW),
    Row("µP, Table 3, SGD", "mup", "sgd", 0.1, TABLE_3),
    Row("µP, Table 8, SGD", "mup", "sgd", 0.1, quick=NARROW),
    Row("µP, Table 9, SGD", "mup", "sgd", 0.1, TABLE_9),
    Row("µP, Table 3, AdamW", "mup", "adamw", 2e-3, TABLE_3),
    Row("µP, Table 8, AdamW", "mup", "adamw", 2e-3, quick=NARROW),
    Row("µP, Table 9, AdamW", "mup", "adamw", 2e-3, TABLE_9, quick=NARROW),
    Row("µP, zero readout, AdamW", "mup", "adamw", 2e-3, ZERO_READOUT, quick=NARROW, steps=2),
    Row("µP, Sophia", "mup", "sophia", 1e-3, quick=NARROW),
    Row("µP, Muon", "mup", "muon", 2e-3),
    Row("µP, LAMB at 1", "mup", "lamb", 1e-2, FULL_RANK, quick=NARROW),
    Row("µP, LAMB at 1/√m", "mup", "lamb", 1e-2),
    Row("u-µP, AdamW", "u_mup", "adamw", 0.1, model={"nonlinearity": "relu"}, quick=NARROW),
    Row("Lingle, AdamW", "lingle", "adamw", 1e-3),
    Row("Everett, AdamW", "everett", "adamw", 1e-3, quick=NARROW),
    Row("Spectral µP, SGD", "spectral", "sgd", 0.05, quick=NARROW),
    Row("Spectral µP, AdamW", "spectral", "adamw", 1e-3),
    Row("nanotron, 10 classes, AdamW", "nanotron", "adamw", 1e-5, quick=NARROW),
)
MLP_WIDTHS = WIDE
MLP_DEPTH = 3
MLP_SEEDS = 8
QUICK_SEEDS = 6


def mlp(row: Row) -> Variant:
    """The MLP of facts 5.1, on 16 digits."""
    return row.variant("mlp", 16, {"nonlinearity": "tanh"})


SPECTRAL = (
    Row("SP, SGD", "sp", "sgd", 1e-3),
    Row("SP, AdamW", "sp", "adamw", 1e-5, quick=NARROW),
    Row("µP, AdamW", "mup", "adamw", 2e-3, quick=NARROW),
    Row("µP, Muon", "mup", "muon", 2e-3),
    Row("µP, LAMB at 1", "mup", "lamb", 1e-2, FULL_RANK),
    Row("Spectral µP, SGD", "spectral", "sgd", 0.05, quick=NARROW),
    Row("Spectral µP, AdamW", "spectral", "adamw", 1e-3),
    Row("nanotron, 10 classes, AdamW", "nanotron", "adamw", 1e-5),
)
SPECTRAL_WIDTHS = (128, 256, 512, 1024)
SPECTRAL_SEEDS = 4

SMALL = (128, 256, 512)
SP_GPT = Row("SP, 1e-4", "sp", "adamw", 1e-4, quick=SMALL)
SP_TOO_FAST = Row("SP, 3e-3: more than usable", "sp", "adamw", 3e-3, steps=4)
FIXED_STD_GPT = Row("SP of fixed std 0.02, 1e-4", "sp", "adamw", 1e-4, {"init": "gpt2"})
NANOTRON_GPT = Row(
    "nanotron, 1024 tokens, 1e-4",
    "nanotron",
    "adamw",
    1e-4,
    model={"vocabulary": 1024, "fused_projections": True},
    quick=SMALL,
)
MUP_GPT = Row("µP, 1e-2", "mup", "adamw", 1e-2, quick=SMALL, steps=4)
MUP_SLOW_GPT = Row("µP, 3e-3", "mup", "adamw", 3e-3, steps=4)
MUP_ZERO_GPT = Row(
    "µP, zero readout, 1e-2", "mup", "adamw", 1e-2, ZERO_READOUT, quick=SMALL, steps=4
)
TRANSFORMER = (
    SP_GPT,
    SP_TOO_FAST,
    FIXED_STD_GPT,
    MUP_GPT,
    MUP_SLOW_GPT,
    MUP_ZERO_GPT,
    NANOTRON_GPT,
)
TRANSFORMER_WIDTHS = (128, 256, 512, 1024)
TRANSFORMER_DEPTH = 2


def transformer(row: Row) -> Variant:
    """The transformer of facts 5.3, with positions, on 4 sequences of the Markov source."""
    return row.variant(
        "gpt",
        4,
        {"head_size": 32, "sequence_length": 32, "norm": "rmsnorm", "dataset": "markov"},
    )


# Facts 5.4 has exponents of CompleteP where the embedding is larger than all branches together:
# that is what a residual multiplier below 1 makes true.
SHALLOW = (4, 8, 16)
SMALL_BRANCHES: Options = {"residual_multiplier": 0.2}
ALPHA_HALF: Options = {"alpha": 0.5}
DEPTH = (
    Row("no rule (µP), AdamW", "mup", "adamw", 1e-3, quick=SHALLOW),
    Row("no rule (µP), SGD", "mup", "sgd", 0.1),
    Row("1/√(2L) on the last matrix (GPT-2), AdamW", "sp", "adamw", 1e-4, {"init": "gpt2"}),
    Row("1/√(2L) on the last matrix (Cerebras), AdamW", "cerebras", "adamw", 1e-3),
    Row("Depth-µP, AdamW", "depth_mup", "adamw", 1e-3, model=SMALL_BRANCHES, quick=SHALLOW),
    Row("Depth-µP, SGD", "depth_mup", "sgd", 0.1, model=SMALL_BRANCHES),
    Row("CompleteP, α = 1/2, AdamW", "complete_p", "adamw", 1e-3, ALPHA_HALF, SMALL_BRANCHES),
    Row("CompleteP, AdamW", "complete_p", "adamw", 1e-3, model=SMALL_BRANCHES, quick=SHALLOW),
    Row("CompleteP, SGD", "complete_p", "sgd", 0.1, model=SMALL_BRANCHES, quick=SHALLOW),
)
# What theory's conditions leave out, for the table alone.
BEYOND_DEPTH = (
    Row("no rule (µP), AdamW at 1e-4", "mup", "adamw", 1e-4),
    Row("CompleteP, AdamW, branches of full size", "complete_p", "adamw", 1e-3),
)
DEPTHS = (8, 16, 32, 64)
DEPTH_WIDTH = 64


def deep_transformer(row: Row) -> Variant:
    """The same transformer, as small as 64 blocks should be."""
    return row.variant(
        "gpt",
        4,
        {
            "head_size": 32,
            "sequence_length": 16,
            "mlp_ratio": 2,
            "norm": "rmsnorm",
            "dataset": "markov",
        },
    )
