"""What a build is told of a check: whether it passed, and why not, in every form it reads.

One `Checked` holds what came out, of a model of the user's or of a study; exit code, JUnit XML,
summary, annotations and baseline all read it.
"""

from muscope.gate.checked import Checked, Lost, Source
from muscope.gate.policy import EVERY_WORD, RATE_WORDS, WORDS, Policy

__all__ = ["EVERY_WORD", "RATE_WORDS", "WORDS", "Checked", "Lost", "Policy", "Source"]
