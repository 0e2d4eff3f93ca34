"""muscope submit"""


def submit() -> None:
    """submit"""
