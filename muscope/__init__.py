"""muscope (µScope): is my parametrization right?"""

__version__ = "0.1.0"
