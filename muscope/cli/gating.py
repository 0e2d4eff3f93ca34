"""What `muscope check` leaves for a build: exit code, JUnit XML, summary, baseline, annotations."""

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from muscope.cli import terminal
from muscope.cli.preflight import Refusal
from muscope.gate import EVERY_WORD, WORDS, Checked, Policy, annotations, junit, markdown, sentences
from muscope.verdicts import baseline
from muscope.verdicts.baseline import Baseline, Comparison

LARGEST_BASELINE = 32 * 2**20
"""Characters: some hundred thousand slopes."""


@dataclass(frozen=True, slots=True)
class AskedOfGate:
    """The options as they were given; empty: not given."""

    fail_on: str = ""
    junit: Path | None = None
    markdown: Path | None = None
    baseline: Path | None = None
    write_baseline: Path | None = None

    @property
    def given(self) -> list[str]:
        """The names of the options that were given."""
        options = {
            "--fail-on": self.fail_on,
            "--junit": self.junit,
            "--markdown": self.markdown,
            "--baseline": self.baseline,
            "--write-baseline": self.write_baseline,
        }
        return [name for name, value in options.items() if value]

    @property
    def written(self) -> tuple[Path | None, ...]:
        """The files that it will write."""
        return (self.junit, self.markdown, self.write_baseline)


@dataclass(frozen=True, slots=True)
class Gate:
    """What fails, what it is compared with, and where it is written."""

    asked: AskedOfGate
    policy: Policy
    before: Baseline | None

    @classmethod
    def of(cls, asked: AskedOfGate) -> "Gate":
        """Read what was asked; Refusal with a sentence where it cannot be."""
        try:
            policy = Policy.of(asked.fail_on, known=EVERY_WORD)
        except ValueError as error:
            raise Refusal(str(error)) from error
        if asked.fail_on and not asked.fail_on.strip(" ,"):
            raise Refusal(f"--fail-on names no verdict; got {asked.fail_on!r}")
        return cls(asked, policy, _read(asked.baseline) if asked.baseline else None)

    def refuse_words(self, what: str, known: Sequence[str] = WORDS) -> None:
        """Refuse a word that no verdict of what is checked can have: it would never fail."""
        for word in sorted(self.policy.words.difference(known)):
            raise Refusal(f"--fail-on {word}: {what} knows {', '.join(known)}")

    def refuse_baseline(self, of: str) -> None:
        """Refuse to keep or compare slopes where there are none."""
        for name in ("--baseline", "--write-baseline"):
            if name in self.asked.given:
                raise Refusal(f"{name} keeps slopes: it is for {of}")

    def refuse_unlike(self, settings: Mapping[str, JsonValue]) -> None:
        """Refuse before the training what could not be compared after it."""
        if self.before is None:
            return
        try:
            baseline.refuse_unlike(self.before.settings, settings)
        except ValueError as error:
            sentence = terminal.plain(str(error))
            raise Refusal(f"{self.asked.baseline}: {sentence}") from error

    def compared(self, now: Baseline) -> Comparison | None:
        """The slopes of now against those of the baseline, if there is one."""
        return baseline.compare(self.before, now) if self.before else None

    def close(self, checked: Checked, now: Baseline | None) -> int:
        """Write all that was asked for, say what makes it fail, and give the exit code."""
        if self.asked.write_baseline and now is not None:
            _write(self.asked.write_baseline, f"{now.model_dump_json(indent=1)}\n", "baseline")
        if checked.comparison:
            _print_comparison(checked.comparison)
        return self._tell(checked)

    def refuse(self, name: str, sentence: str) -> None:
        """Say in the same files that nothing could be judged, where they can be written."""
        refused = Checked(name, (), self.policy, {}, 0.0, refused=sentence)
        with contextlib.suppress(Refusal):
            self._tell(refused)

    def _tell(self, checked: Checked) -> int:
        if self.asked.junit:
            _write(self.asked.junit, junit.render(checked), "JUnit")
        if self.asked.markdown:
            _write(self.asked.markdown, f"{markdown.render(checked)}\n", "summary")
        if os.environ.get("GITHUB_ACTIONS") == "true":
            for line in annotations.lines(checked):
                print(line, file=sys.stderr)
        return checked.exit_code


def _read(path: Path) -> Baseline:
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(LARGEST_BASELINE + 1)
        if len(text) > LARGEST_BASELINE:
            raise Refusal(f"the baseline {path} has more than {LARGEST_BASELINE} characters")
        before = Baseline.model_validate_json(text)
    except FileNotFoundError as error:
        raise Refusal(
            f"there is no baseline {path}; make one with --write-baseline {path}"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"the baseline {path} cannot be read: {error}") from error
    except ValidationError as error:
        raise Refusal(
            f"{path} is no baseline of this version; make one with --write-baseline {path}"
        ) from error
    if not any(variant.slopes for variant in before.variants):
        raise Refusal(f"the baseline {path} has no slope that could be compared")
    return before


def _write(path: Path, text: str, what: str) -> None:
    # a build's page is one file that every step adds to
    mode = "a" if path == Path(os.environ.get("GITHUB_STEP_SUMMARY") or os.devnull) else "w"
    try:
        with path.open(mode, encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise Refusal(f"the {what} {path} could not be written: {error.strerror}") from error
    print(f"{what}: {path}", file=sys.stderr)


def _print_comparison(comparison: Comparison) -> None:
    lines = [*map(sentences.of_move, comparison.worse)]
    lines += [f"not measured now: {name}" for name in comparison.missing]
    lines += [f"differs: {words}" for words in comparison.unlike]
    if comparison.untested:
        lines.append("one seed: a slope is worse if it moved by more than its tolerance")
    for line in (sentences.of_comparison(comparison), *(f"  {line}" for line in lines)):
        print(terminal.plain(line), file=sys.stderr)
