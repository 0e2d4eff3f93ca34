"""muscope server"""


def server() -> None:
    """server"""
