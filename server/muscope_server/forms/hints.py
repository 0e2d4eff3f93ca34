"""What a study that could be submitted will be able to tell."""

from muscope.spec import StudySpec
from muscope.verdicts.transfer import power


def hints(spec: StudySpec) -> list[str]:
    """The power of a grid of learning rates; nothing of another study. The plan says it."""
    told = power.sentence(spec)
    return [f"power: {told}"] if told else []
