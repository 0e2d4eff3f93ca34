"""The options of `muscope check`, one name each."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

OWN, BUILD = "Your own model", "For builds"

Target: TypeAlias = Annotated[
    str | None,
    typer.Argument(
        metavar="STUDY.yaml | FILE.py:FUNCTION",
        help="The study to check, YAML or JSON, or the function that builds your own model; "
        "without it the demo study.",
        show_default=False,
    ),
]
AsJson: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Print the verdicts as JSON and nothing else.")
]
Report: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE.html", help="Write the report: one offline file.")
]
Csv: TypeAlias = Annotated[
    Path | None, typer.Option(metavar="FILE.csv", help="Write the measurements.")
]
Threads: TypeAlias = Annotated[int, typer.Option(min=0, help="CPU threads; 0 takes all cores.")]
StopEarly: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--stop-early", help="A study: train no more seeds of a variant than its verdict needs."
    ),
]
RecordEvery: TypeAlias = Annotated[
    int,
    typer.Option(
        min=0,
        max=10_000,
        help="A study: record step 0, every so many steps, and the last; 0 leaves it as it is.",
    ),
]
Fault: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        help="A study: break one thing of its parametrizations on purpose, to see it found.",
    ),
]

FailOn: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="WORDS",
        help="What makes the exit code 1, with commas between them: "
        "grows, shrinks, inconclusive, diverged, depth, theory; of a learning-rate "
        "study drifts, inconclusive, not_bracketed.",
        rich_help_panel=BUILD,
    ),
]
Junit: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE.xml", help="Write JUnit XML.", rich_help_panel=BUILD),
]
Markdown: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.md", help="Write a summary for a pull request.", rich_help_panel=BUILD
    ),
]
BaselineFile: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--baseline",
        metavar="FILE.json",
        help="Compare with the slopes kept there; exit code 3 if any is worse.",
        rich_help_panel=BUILD,
    ),
]
WriteBaseline: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json", help="Keep the slopes, to compare with.", rich_help_panel=BUILD
    ),
]

Widths: TypeAlias = Annotated[
    str, typer.Option(metavar="NUMBERS", help="Widths; 64,128,256,512.", rich_help_panel=OWN)
]
Depths: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NUMBERS", help="Depths, given to build as its second.", rich_help_panel=OWN
    ),
]
Seeds: TypeAlias = Annotated[
    int, typer.Option(min=0, max=64, help="Seeds; 0 takes 5.", rich_help_panel=OWN)
]
Steps: TypeAlias = Annotated[
    int, typer.Option(min=0, max=10_000, help="Updates; 0 takes 4.", rich_help_panel=OWN)
]
Parametrize: TypeAlias = Annotated[
    str,
    typer.Option(
        metavar="NAME[:OPTIONS]",
        help="Set first values, multipliers and rates by this rule.",
        rich_help_panel=OWN,
    ),
]
Optimizer: TypeAlias = Annotated[
    str, typer.Option(help="Train it with this one instead of its own.", rich_help_panel=OWN)
]
Rate: TypeAlias = Annotated[
    float, typer.Option(min=0.0, help="Learning rate of --optimizer.", rich_help_panel=OWN)
]
Roles: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="YAML or JSON that corrects roles.", rich_help_panel=OWN),
]
WriteRoles: TypeAlias = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write the roles found, to start from.", rich_help_panel=OWN),
]
Traceback: TypeAlias = Annotated[
    bool,
    typer.Option("--traceback", help="If its code raises, print where.", rich_help_panel=OWN),
]
