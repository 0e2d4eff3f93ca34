"""Lingle 2024, A Large-Scale Exploration of µ-Transfer: the baseline and every printed ablation.

Widths 128, 512, 2048, 24 layers, heads of 128, F = 4M, RMSNorm without gains, no biases, RoPE,
ReLU, q.k/D; base rates 2^-10 to 2^-2 in steps of two octaves. Adam (0.9, 0.95), epsilon 1e-8,
10,000 steps of warm-up, then linear decay to 0, batches of 2^18 tokens of 256, C4.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from muscope.presets.preset import Preset, Size
from muscope.presets.scale import (
    LAPTOP,
    NONE,
    SMOKE,
    Scale,
    Switches,
    optimizer,
    parametrization,
    tokens,
    transfer,
    transformer,
)
from muscope.spec import StudySpec

SOURCE = "Lingle 2024, A Large-Scale Exploration of µ-Transfer (arXiv 2404.05728)"
PUBLISHED = "lingle_tables.csv"
RATE = 2.0**-6
"""The best base rate of the published baseline, at every width."""
BASELINE: Switches = {"nonlinearity": "relu", "mlp_ratio": 4}
EPSILON: Switches = {"epsilon": 1e-8}
BATCH: Switches = {"beta2": 0.98, "epsilon": 1e-9}
"""AdamW where the batch is another than the baseline's."""
STEPS, MOST_STEPS = 125_000, 100_000
"""Of the published baseline; of a study here."""

SCALES: Mapping[Size, Scale] = {
    "smoke": SMOKE,
    "laptop": LAPTOP,
    "paper": Scale(
        widths=(128, 512, 2048),
        depths=(24,),
        base_width=128,
        head_size=128,
        sequence_length=256,
        batch_size=1024,
        steps=MOST_STEPS,
        warmup_steps=10_000,
        seeds=1,
        octaves=(-4, -2, 0, 2, 4),
        data=tokens("c4_t5.bin", 32_128),
    ),
}
NOTES = (
    "paper: seeds and the size of T5's vocabulary (32,128) are our choice",
    "laptop: all sizes are our choice; rates are an octave apart instead of two, so that a drift "
    "of one octave is seen",
)
NEEDS = "a GPU, and C4 as a file c4_t5.bin of T5's tokens in the datasets folder"


@dataclass(frozen=True, slots=True)
class Ablation:
    """A row of the published tables: what it changes, and what came out.

    `options` are those of its `rule`; `at_paper` changes the published scale further. The rates of
    the smaller sizes are moved by `octaves`. `steps` were published.
    """

    name: str
    title: str
    row: str
    claim: str
    model: Switches = field(default_factory=dict)
    rule: str = "lingle"
    options: Switches = field(default_factory=dict)
    optimizer: str = "adamw"
    optimizer_options: Switches = field(default_factory=dict)
    batches: float = 1.0
    at_paper: Callable[[Scale], Scale] | None = None
    octaves: int = 0
    steps: int = STEPS
    notes: tuple[str, ...] = ()

    def studies(self, size: Size) -> tuple[StudySpec, ...]:
        """One learning-rate study."""
        scale = self._scale(size)
        options = {**EPSILON, **self.optimizer_options} if self.optimizer == "adamw" else NONE
        return (
            transfer(
                f"Lingle 2024: {self.title} ({size})",
                scale,
                transformer("llama", scale, {**BASELINE, **self.model}),
                [optimizer(self.optimizer, RATE, scale, options)],
                [parametrization(self.rule, self.options)],
            ),
        )

    def preset(self) -> Preset:
        """The preset of this row."""
        return Preset(
            name=f"lingle-{self.name}",
            title=f"Lingle 2024: {self.title}",
            question=f"Does the best learning rate stay where it is: {self.title}?",
            source=SOURCE,
            claim=self.claim,
            build=self.studies,
            published=PUBLISHED,
            row=self.row,
            published_of=self.rule,
            needs=NEEDS,
            notes=(*self.notes, self._missing(), *NOTES),
        )

    def _missing(self) -> str:
        """What of the published training is not to be had here."""
        clipped = "the gradient was clipped at 1.0, nothing is clipped here"
        if self.steps <= MOST_STEPS:
            return f"paper: {clipped}"
        most = f"a study here has {MOST_STEPS:,} at most"
        return f"paper: {self.steps:,} steps were published, {most}; {clipped}"

    def _scale(self, size: Size) -> Scale:
        scale = SCALES[size]
        changed = replace(scale, batch_size=max(1, round(self.batches * scale.batch_size)))
        if size == "paper":
            published = replace(changed, steps=min(self.steps, MOST_STEPS))
            return self.at_paper(published) if self.at_paper else published
        return replace(changed, octaves=tuple(one + self.octaves for one in scale.octaves))


def _large(scale: Scale) -> Scale:
    """Four widths, 12 layers, batches of 2^21 tokens, three rates."""
    return replace(
        scale,
        widths=(128, 512, 2048, 8192),
        depths=(12,),
        batch_size=8192,
        octaves=(-2, 0, 2),
    )


STAYS = "Transfers: 2^-6 is best at widths 128, 512 and 2048."

ABLATIONS = (
    Ablation("baseline", "the baseline µP", "Baseline muP", STAYS),
    Ablation("biases", "biases", "Projection Biases", STAYS, model={"biases": True}),
    Ablation("swiglu", "SwiGLU", "SwiGLU Nonlinearity", STAYS, model={"nonlinearity": "swiglu"}),
    Ablation(
        "squared-relu",
        "squared ReLU",
        "Squared ReLU Nonlinearity",
        STAYS,
        model={"nonlinearity": "squared_relu"},
    ),
    Ablation(
        "batch-4x",
        "4× larger batches",
        "4x Larger Batch",
        STAYS,
        batches=4,
        optimizer_options=BATCH,
        at_paper=lambda scale: replace(scale, warmup_steps=2_500),
        steps=STEPS // 4,
        notes=(
            "the published scripts read as many tokens as the baseline, and doubled every rate: "
            "what is printed as 2^-6 was trained at 2^-5 (facts 7.1); rates here are as printed",
            "paper: a warm-up of 2500 steps is our choice; laptop: as many steps as the baseline, "
            "so that it reads four times its tokens",
        ),
    ),
    Ablation(
        "batch-quarter",
        "4× smaller batches",
        "4x Smaller Batch",
        STAYS,
        batches=1 / 4,
        optimizer_options=BATCH,
        steps=4 * STEPS,
        notes=(
            "the published scripts read as many tokens as the baseline, and halved every rate: "
            "what is printed as 2^-6 was trained at 2^-7 (facts 7.1); rates here are as printed",
            "laptop: as many steps as the baseline, so that it reads a quarter of its tokens",
        ),
    ),
    Ablation(
        "sp-unembedding",
        "SP's unembedding",
        "SP Unembedding Init",
        STAYS,
        options={"sp_unembedding": True},
    ),
    Ablation("zero-query", "zero query", "Zero Query Init", STAYS, model={"zero_query": True}),
    Ablation(
        "vector-gains",
        "vector gains",
        "RMSNorm Gains (Vector)",
        "Does not transfer: 2^-4, 2^-4, then 2^-8 is best; regret 0.052 at width 2048.",
        model={"norm_gains": "vector"},
    ),
    Ablation(
        "scalar-gains",
        "scalar gains",
        "RMSNorm Gains (Scalar)",
        "Does not transfer: 2^-4, 2^-4, then 2^-6 is best; regret 0.017 at width 2048.",
        model={"norm_gains": "scalar"},
    ),
    Ablation(
        "lion",
        "Lion",
        "Lion Optimizer",
        "Does not transfer: 2^-10, 2^-8, 2^-8 is best; the first at the edge of the grid.",
        optimizer="lion",
        octaves=-1,
        notes=("Lion's betas are the catalogue's, 0.9 and 0.99: none are printed",),
    ),
    Ablation(
        "decoupled-decay",
        "weight decay 0.1",
        "Decoupled Weight Decay",
        "Does not transfer: 2^-8, 2^-6, 2^-6 is best; regret 0.033 at width 2048.",
        optimizer_options={"weight_decay": 0.1},
        notes=("the decay is multiplied by each weight's learning rate and not scaled back",),
    ),
    Ablation(
        "sp",
        "SP",
        "SP (Table 3)",
        "Does not transfer: 2^-6, 2^-8, 2^-10 is best; 2^-6 diverges at width 2048.",
        model={"norm_gains": "vector", "biases": True},
        rule="sp",
    ),
    Ablation(
        "large-scale",
        "large scale",
        "Large-scale (Table 4)",
        "Transfers from 2M to 10B parameters: 2^-6 is best at widths 128, 512, 2048 and 8192.",
        model={"zero_query": True, "nonlinearity": "squared_relu"},
        options={"optim_rule": "abs_mup"},
        optimizer="lion",
        at_paper=_large,
        octaves=4,
        steps=90_000,
        notes=(
            "laptop: rates are four octaves larger than the baseline's, which bracket no optimum: "
            "the rule divides them by the width itself, not by its multiple of the base",
            "that this is the run of Table 4 is inferred from its script (facts 7.2)",
            "published with independent weight decay 1e-4; Lion here has none that is independent, "
            "so there is none",
        ),
    ),
)
PRESETS = tuple(row.preset() for row in ABLATIONS)
