"""muscope worker"""


def worker() -> None:
    """worker"""
