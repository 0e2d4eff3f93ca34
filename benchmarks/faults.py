"""The fault library, measured: every fault x model x optimizer, judged and diagnosed.

`python -m benchmarks.faults` trains what is not in its folder yet, judges it, and prints the rates
and the confusion matrix as markdown. A study judges five seeds: the 20 seeds of the MLP are four
independent studies, the five of a transformer are one. `--sample` takes the MLP with AdamW, one
study. Faults of equal signature are measured once and count as one.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from benchmarks import fault_audit, fault_grid, fault_library, fault_scores, report
from benchmarks.fault_grid import JUDGED_SEEDS, Group
from benchmarks.fault_samples import Piece, is_whole, measure, pieces, read
from benchmarks.fault_scores import Judged, Rate
from muscope.catalogue import MODELS, OptionValue
from muscope.catalogue.fault_classes import classes
from muscope.catalogue.rules import Choice
from muscope.lab import engine
from muscope.spec import ModelSpec, ParametrizationSpec, Variant
from muscope.verdicts.judge import judge
from muscope.verdicts.types import VariantVerdict

FOLDER = Path("build/faults")
SAMPLE = ("mlp-adamw",)


def main() -> None:
    """Measure, judge, print."""
    options = _arguments()
    if options.library:
        print("\n".join(fault_library.lines()))
        return
    engine.set_threads(options.threads)
    chosen = [g for g in fault_grid.groups(options.largest) if _is_asked(g, options)]
    studies = 1 if options.sample else None
    if not options.judge_only:
        _measure_all(chosen, options, studies)
    judged = [one for group in chosen for one in _judged(group, options, studies)]
    for line in _page(judged, options.largest):
        print(line)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where samples are kept")
    parser.add_argument("--sample", action="store_true", help="one study of the MLP with AdamW")
    parser.add_argument("--groups", default="", help="only these, with commas between them")
    parser.add_argument("--largest", type=int, default=512, help="no widths beyond")
    parser.add_argument("--library", action="store_true", help="print every fault, train nothing")
    parser.add_argument("--first-seed", type=int, default=0, help="from here on seeds are counted")
    parser.add_argument("--judge-only", action="store_true", help="train nothing")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0 takes all cores")
    return parser.parse_args()


def _is_asked(group: Group, options: argparse.Namespace) -> bool:
    names = SAMPLE if options.sample else tuple(filter(None, options.groups.split(",")))
    return not names or group.name in names


def _measure_all(chosen: Sequence[Group], options: argparse.Namespace, studies: int | None) -> None:
    """With a line per piece, so that one sees how long it takes."""
    todo: list[Piece] = [
        piece
        for group in chosen
        for piece in pieces(group, options.first_seed)
        if studies is None or piece.study < studies
    ]
    started = time.perf_counter()
    for number, piece in enumerate(todo, start=1):
        seconds = measure(piece, options.folder)
        minutes = (time.perf_counter() - started) / 60
        line = f"{number}/{len(todo)} {piece.path} {seconds:.1f} s, {minutes:.1f} min in all"
        print(line, file=sys.stderr, flush=True)


def _judged(group: Group, options: argparse.Namespace, studies: int | None) -> Iterator[Judged]:
    """Every variant of every study of a group that has been measured."""
    spec = group.spec.model_copy(update={"seeds": JUDGED_SEEDS})
    runs = JUDGED_SEEDS * len(spec.widths) * len(spec.depths)
    for study in range(studies or group.spec.seeds // JUDGED_SEEDS):
        if not is_whole(group, options.folder, study, options.first_seed):
            continue
        print(f"judging {group.name}, study {study}", file=sys.stderr, flush=True)
        done = {variant.key: runs for variant in spec.variants}
        samples = read(group, options.folder, study, options.first_seed)
        verdicts = judge(spec, samples, runs_judged=done, final=True)
        for variant, verdict in zip(spec.variants, verdicts, strict=True):
            yield _of(group, study, variant, verdict)


def _of(group: Group, study: int, variant: Variant, verdict: VariantVerdict) -> Judged:
    parametrization = variant.parametrization
    form = parametrization.options.get("form", "")
    healthy = parametrization.model_copy(update={"fault": ""}).model_dump_json()
    equal = _classes(healthy, variant.optimizer.name, variant.model.model_dump_json())
    diagnosis = verdict.diagnosis
    return Judged(
        group=group.name,
        study=study,
        parametrization=f"{parametrization.name} {form}".strip(),
        fault=parametrization.fault,
        equals=next(names for names in equal if parametrization.fault in names),
        verdict=verdict.verdict,
        as_theory=verdict.as_theory,
        suspects=tuple(suspect.fault for suspect in diagnosis.suspects) if diagnosis else (),
    )


@cache
def _classes(parametrization: str, optimizer: str, model: str) -> tuple[tuple[str, ...], ...]:
    """The faults of equal signature, computed once; specs are given as their JSON."""
    healthy = ParametrizationSpec.model_validate_json(parametrization)
    of = ModelSpec.model_validate_json(model)
    choice = Choice(healthy.name, healthy.options)
    return classes(choice, optimizer, of.name, MODELS[of.name].complete(dict(of.options)))


def _page(judged: Sequence[Judged], largest: int) -> Iterator[str]:
    studies = len({(one.group, one.study) for one in judged})
    yield f"Measured {datetime.now(UTC):%Y-%m-%d} on {report.machine()}: {len(judged)} verdicts,"
    yield f"{studies} studies of {JUDGED_SEEDS} seeds each, widths 64 to {largest}."
    yield ""
    yield from fault_scores.summary(judged)
    yield ""
    yield f"Static audit: {_audited()} of the faults that it should see, by model and optimizer."
    yield ""
    yield from fault_scores.confusion(judged)
    yield ""
    yield from fault_scores.missed(judged)


def _audited() -> Rate:
    """Of faults that the audit should see, how many it sees: pure arithmetic, no training."""
    found = [
        fault_audit.seen(choice, optimizer, model, options)
        for model in ("mlp", "gpt")
        for optimizer in fault_grid.RATES
        for choice, options in _audited_choices(model)
    ]
    return Rate(sum(sum(one.values()) for one in found), sum(map(len, found)))


def _audited_choices(
    model: str,
) -> Iterator[tuple[Choice, dict[str, OptionValue]]]:
    options = MODELS[model].complete({"biases": True})
    for form in ("table8", "table3"):
        yield Choice("mup", {"zero_readout": False, "form": form}), options
    if model != "mlp":
        for name in ("depth_mup", "complete_p"):
            yield Choice(name, {"zero_readout": False}), options


if __name__ == "__main__":
    main()
