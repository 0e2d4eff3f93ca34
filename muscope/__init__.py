"""muscope (µScope): is my parametrization right, and will the learning rate transfer?"""

__version__ = "0.1.0"
