"""Small runs for the tests of the lab."""

from muscope import catalogue
from muscope.catalogue import Options
from muscope.spec import Batches, ModelSpec, OptimizerSpec, ParametrizationSpec, RunSpec, Variant

SMALL_GPT = {"head_size": 8, "sequence_length": 8, "mlp_ratio": 2}


def run(
    model: str = "mlp",
    *,
    parametrization: str = "mup",
    zero_readout: bool | None = None,
    optimizer: str = "adamw",
    learning_rate: float = 3e-3,
    width: int = 32,
    base_width: int = 16,
    depth: int = 2,
    seed: int = 0,
    steps: int = 2,
    options: Options | None = None,
    model_options: Options | None = None,
    batches: Batches = "fixed",
    batch_size: int = 4,
) -> RunSpec:
    """A run with everything that a test does not care about filled in."""
    known = {option.name for option in catalogue.MODELS[model].options}
    small = dict(SMALL_GPT) if "head_size" in known else {}
    switches = {} if zero_readout is None else {"zero_readout": zero_readout}
    return RunSpec(
        variant=Variant(
            model=ModelSpec(
                name=model, batch_size=batch_size, options={**small, **(model_options or {})}
            ),
            parametrization=ParametrizationSpec(name=parametrization, options=dict(switches)),
            optimizer=OptimizerSpec(
                name=optimizer, learning_rate=learning_rate, options=options or {}
            ),
        ),
        width=width,
        depth=depth,
        base_width=base_width,
        base_depth=depth,
        seed=seed,
        steps=steps,
        batches=batches,
    )
