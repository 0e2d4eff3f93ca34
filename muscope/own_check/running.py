"""Run after run trained and measured, and the verdict on the runs there are."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from muscope.lab import own_model
from muscope.lab.own import training
from muscope.lab.own.training import OwnStep
from muscope.lab.own_model import OwnModelError, size_in_words
from muscope.own_check.making import in_words, made
from muscope.own_check.question import NOT_GIVEN, Failure, OwnArrival, Prepared, Sized
from muscope.own_model.tensors import OwnTensor
from muscope.records import Sample
from muscope.verdicts import own as verdicts
from muscope.verdicts.own import OwnGrid
from muscope.verdicts.types import VariantVerdict
from muscope.vocabulary import TensorKind


def train(prepared: Prepared, tell: Callable[[int, int, int, int], None]) -> Iterator[OwnArrival]:
    """Run after run; `tell` hears (width, depth, seed, step) of every step."""
    failed: set[tuple[int | None, int]] = set()
    for sized, width, seed in prepared.runs:
        if (sized.depth, width) in failed:
            continue
        arrival = _run(prepared, sized, width, seed, tell)
        if isinstance(arrival, Failure):
            failed.add((sized.depth, width))
            prepared.failures.append(arrival)
        else:
            yield arrival


def judge(prepared: Prepared, arrivals: Sequence[OwnArrival], *, final: bool) -> VariantVerdict:
    """The verdict on the runs there are; OwnModelError where they have fewer than two widths."""
    if final and len({arrival.width for arrival in arrivals}) < 2:
        raise OwnModelError(prepared.failures[-1].sentence) from prepared.failures[-1].error
    tensors = {sized.depth or NOT_GIVEN: sized.activations.tensors for sized in prepared.sizes}
    samples = (
        sample
        for arrival in arrivals
        for sample in arrival.samples
        if sample.tensor not in prepared.reshaped
    )
    return verdicts.judge_own(
        prepared.variant,
        grid(prepared, arrivals),
        tensors,
        samples,
        runs_judged=len(arrivals),
        final=final,
    )


def grid(prepared: Prepared, arrivals: Sequence[OwnArrival]) -> OwnGrid:
    """The widths of which any run has ended, beside what was planned."""
    question = prepared.question
    ended = {arrival.width for arrival in arrivals}
    return OwnGrid(
        widths=tuple(width for width in question.widths if width in ended),
        seeds=prepared.seeds,
        planned_runs=len(question.widths) * len(question.depths) * prepared.seeds,
    )


def _run(
    prepared: Prepared,
    sized: Sized,
    width: int,
    seed: int,
    tell: Callable[[int, int, int, int], None],
) -> OwnArrival | Failure:
    question, depth = prepared.question, sized.depth or NOT_GIVEN
    samples: list[Sample] = []
    losses: list[float] = []
    try:
        model, steppers = made(question, sized, width, seed=seed)
        wanted = sized.activations.tensors
        steps = training.train(
            model, steppers, prepared.task.loss, wanted, question.steps, seed=seed
        )
        for step in _spoken(steps):
            samples.extend(_samples(prepared.variant.key, wanted, step, (width, depth, seed)))
            losses.append(step.loss)
            prepared.reshaped |= dict.fromkeys(step.reshaped)
            tell(width, depth, seed, step.step)
    except OwnModelError as error:
        sentence = in_words(error, size_in_words(width, sized.depth))
        return Failure(width, sized.depth, sentence, error)
    return OwnArrival(width, depth, seed, tuple(samples), tuple(losses))


def _spoken(steps: Iterator[OwnStep]) -> Iterator[OwnStep]:
    """Each step with what the user's code prints on stderr, and what it raises in a sentence."""
    while True:
        with own_model.users_code("the training raised"):
            step = next(steps, None)
        if step is None:
            return
        yield step


def _samples(
    variant: str, wanted: Iterable[OwnTensor], step: OwnStep, at: tuple[int, int, int]
) -> Iterator[Sample]:
    width, depth, seed = at
    for tensor in wanted:
        if tensor.name in step.values:
            yield Sample(
                variant=variant,
                width=width,
                depth=depth,
                seed=seed,
                step=step.step,
                tensor=tensor.name,
                role=tensor.role,
                kind=TensorKind.ACTIVATION,
                values=step.values[tensor.name],
            )
