"""What is allowed in a study but hardly meant."""

from muscope.spec import StudySpec


def hints(spec: StudySpec) -> list[str]:
    """What is allowed but hardly meant; the plan says it."""
    if spec.base_width in spec.widths:
        return []
    return [
        f"base width {spec.base_width} is none of the widths, so µP equals SP at none of them; "
        "leave the field empty for the smallest"
    ]
