"""A model at one size, and in a sentence what kept it from being one."""

from muscope.lab import own_model
from muscope.lab.own import making
from muscope.lab.own.making import Made
from muscope.lab.own_model import OwnModelError
from muscope.own_check.question import OwnQuestion, Sized

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")


def made(question: OwnQuestion, sized: Sized, width: int, *, seed: int) -> Made:
    """The model with what steps it, as its own code has it or by the recipe."""
    made = making.as_built(question.file.build, width, sized.depth, seed=seed)
    if question.recipe is None:
        return made
    return making.by_recipe(made, question.recipe, sized.rules[width], seed=seed)


def in_words(error: OwnModelError, size: str) -> str:
    """The sentence, with the size that it is about."""
    cause: BaseException | None = error
    while cause is not None:
        text = own_model.said(cause).lower()
        if isinstance(cause, MemoryError) or any(words in text for words in _OUT_OF_MEMORY):
            return f"{size} needs more memory than there is"
        cause = cause.__cause__
    return str(error) if size in str(error) else f"{size}: {error}"
