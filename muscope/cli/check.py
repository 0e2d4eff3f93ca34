"""muscope check"""


def check() -> None:
    """check"""
