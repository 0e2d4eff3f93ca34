"""muscope up"""


def up() -> None:
    """up"""
