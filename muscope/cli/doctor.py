"""muscope doctor"""


def doctor() -> None:
    """doctor"""
