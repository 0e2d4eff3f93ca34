"""Learning-rate studies of one variant with losses that are known, for tests of recipes."""

import math
from typing import Any

from muscope import plan
from muscope.catalogue import Options
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, StudySpec
from muscope.verdicts.transfer import judge
from muscope.verdicts.transfer.losses import Trial
from muscope.verdicts.transfer.types import TransferJudgement

WIDE, DEEP = 512, 8


def study(
    parametrization: str = "mup",
    options: Options | None = None,
    model: str = "mlp",
    model_options: Options | None = None,
    **optimizer: Any,
) -> StudySpec:
    """A learning-rate study of one variant, at widths 32 to 128, around 2^-6 unless told."""
    of_model = {} if model == "mlp" else {"head_size": 16, "sequence_length": 16}
    rate = float(optimizer.pop("learning_rate", 2**-6))
    chosen = OptimizerSpec(
        name=str(optimizer.pop("name", "adamw")), learning_rate=rate, options=dict(optimizer)
    )
    return StudySpec(
        name="What for the large one?",
        kind="lr_transfer",
        arms=(
            Arm(
                model=ModelSpec(
                    name=model, batch_size=4, options={**of_model, **(model_options or {})}
                ),
                optimizers=(chosen,),
            ),
        ),
        parametrizations=(ParametrizationSpec(name=parametrization, options=options or {}),),
        widths=(32, 64, 128),
        octaves=(-2.0, -1.0, 0.0, 1.0, 2.0),
        seeds=3,
        steps=2,
    )


def swept(spec: StudySpec, drift: float = 0.0, start: float = 0.3) -> tuple[TransferJudgement, ...]:
    """Losses whose optimum moves `drift` octaves per doubling; seeds differ by a tenth of one."""

    def loss(run: RunSpec) -> float:
        best = start + drift * math.log2(run.width / 32) + 0.1 * (run.seed - 1)
        return float(2 + (run.octave - best) ** 2)

    trials = [
        Trial(run.variant.key, run.width, run.depth, run.octave, run.seed, loss(run))
        for run in plan.runs(spec)
    ]
    counts = {variant.key: spec.run_count for variant in spec.variants}
    return judge.judge(spec, trials, runs_judged=counts, final=True)
