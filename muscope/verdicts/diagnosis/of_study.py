"""The diagnosis of a variant of a study."""

from collections.abc import Iterable

from muscope.catalogue.rules import Choice
from muscope.spec import StudySpec, Variant
from muscope.verdicts.diagnosis.numbers import Question
from muscope.verdicts.diagnosis.suspects import Trained, diagnose
from muscope.verdicts.diagnosis.types import Diagnosis
from muscope.verdicts.types import Cell


def of_variant(
    spec: StudySpec,
    variant: Variant,
    cells: Iterable[Cell],
    *,
    confidence: float,
    stable: bool | None,
) -> Diagnosis | None:
    """What may be wrong with it; a fault that was put in on purpose is not known here."""
    parametrization, optimizer, model = variant.parametrization, variant.optimizer, variant.model
    question = Question(
        parametrization=Choice(parametrization.name, parametrization.options),
        optimizer=optimizer.name,
        optimizer_options=optimizer.complete,
        learning_rate=optimizer.learning_rate,
        model=model.name,
        options=model.options,
    )
    trained = Trained(
        question,
        spec.widths,
        spec.depths,
        spec.base_width or spec.widths[0],
        spec.base_depth or spec.depths[0],
    )
    return diagnose(trained, cells, confidence=confidence, keeps_sizes=stable)
