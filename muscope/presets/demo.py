"""The demo: SP is judged *grows* and µP *flat*, on models trained here within a minute."""

from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec


def demo() -> StudySpec:
    """SP and µP on a transformer (AdamW) and an MLP (AdamW and SGD), widths 64 to 512."""
    adamw = OptimizerSpec(name="adamw", learning_rate=3e-3)
    sgd = OptimizerSpec(name="sgd", learning_rate=0.1)
    return StudySpec(
        name="Demo: is my parametrization right?",
        arms=(
            Arm(model=ModelSpec(name="gpt", batch_size=8), optimizers=(adamw,)),
            Arm(model=ModelSpec(name="mlp", batch_size=64), optimizers=(adamw, sgd)),
        ),
        parametrizations=(ParametrizationSpec(name="sp"), ParametrizationSpec(name="mup")),
        widths=(64, 128, 256, 512),
        seeds=5,
        steps=4,
    )
