"""Studies small enough to train within a test."""

from muscope.plan import plan
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.storage import studies
from muscope.storage.database import Database


def tiny(
    *,
    learning_rate: float = 0.1,
    widths: tuple[int, ...] = (16, 32),
    steps: int = 2,
    dataset: str = "digits",
) -> StudySpec:
    """SP and µP of a small MLP with SGD: one bundle per width, four runs each."""
    sgd = OptimizerSpec(name="sgd", learning_rate=learning_rate)
    model = ModelSpec(name="mlp", batch_size=8, options={"dataset": dataset})
    return StudySpec(
        name="tiny",
        arms=(Arm(model=model, optimizers=(sgd,)),),
        parametrizations=(ParametrizationSpec(name="sp"), ParametrizationSpec(name="mup")),
        widths=widths,
        depths=(1,),
        seeds=2,
        steps=steps,
    )


def submit(db: Database, spec: StudySpec) -> str:
    """Store a study, send nothing."""
    with db.write() as conn:
        study_id, _ = studies.create(conn, spec, plan(spec))
    return study_id
