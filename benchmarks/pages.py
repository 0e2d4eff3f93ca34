"""What the pages of a large study cost the server: looked at first, and again with nothing new."""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

from benchmarks import report, server_start
from muscope.settings import Settings
from muscope.spec import Arm, ModelSpec, OptimizerSpec, ParametrizationSpec, StudySpec
from muscope.storage import verdicts
from muscope.storage.database import Database, open_database
from muscope.tuning import Tuning
from muscope_server import urls
from tests.core.searches import bowl, carried_out
from tests.server import measured, swept

RATES = (2**-4, 2**-5, 2**-6, 2**-7)
"""Base rates: with SP and µP, eight variants."""


TIMEOUT_S = 120.0


def sweep() -> StudySpec:
    """1600 runs of 150 steps: eight variants, four widths, ten rates, five seeds."""
    sgd = tuple(OptimizerSpec(name="sgd", learning_rate=rate) for rate in RATES)
    return swept.sweep(
        "Which rate?",
        arms=(Arm(model=ModelSpec(name="mlp", batch_size=8), optimizers=sgd),),
        widths=(32, 64, 128, 256),
        octaves=tuple(map(float, range(-5, 5))),
        seeds=5,
        steps=150,
    )


def search() -> StudySpec:
    """µP with 512 drawn sets at three seeds, five of them carried on: some 1550 runs."""
    adam = OptimizerSpec(name="adamw", learning_rate=2**-6)
    ranges = {"embedding_multiplier": (-3.0, 3.0), "readout_multiplier": (-3.0, 3.0)}
    return StudySpec(
        name="Which set?",
        kind="hyperparameter_search",
        arms=(Arm(model=ModelSpec(name="mlp", batch_size=8), optimizers=(adam,)),),
        parametrizations=(ParametrizationSpec(name="mup"),),
        widths=(32, 64),
        octaves=(-3.0, 3.0),
        seeds=3,
        steps=150,
        tuning=Tuning(method="halton", samples=512, ranges=ranges, keep=(5,)),
    )


def judged_search(database: Database) -> str:
    """A search whose sets are judged; its runs wait."""
    spec = search()
    study_id = measured.submitted(database, spec)
    with database.write() as conn:
        verdicts.save(conn, study_id, (carried_out(spec, bowl)[1],))
    return study_id


def addresses(sweep_id: str, search_id: str) -> Iterator[tuple[str, str]]:
    """Every page with its name."""
    chosen = [f"{sweep_id}:{variant.key}" for variant in sweep().variants]
    for count in (2, 8):
        some = chosen[:count]
        yield f"compare {count} variants", urls.compare(some)
        yield "its tables alone", urls.compare(some, part="comparison")
        yield "its curves", urls.comparison_figure(some, "curves")
    for tab in ("lr-transfer", "grid", "runs", "recipe", "report"):
        yield f"sweep, {tab}", urls.study(sweep_id, tab=tab)
    yield "sweep, header", urls.part(sweep_id, "header")
    for tab in ("search", "runs", "recipe", "report"):
        yield f"search, {tab}", urls.study(search_id, tab=tab)
    yield "studies", urls.studies


@contextmanager
def house() -> Iterator[tuple[dict[str, str], list[tuple[str, str]]]]:
    """A server's environment with both studies, and the pages to look at."""
    with server_start.house() as env:
        database = open_database(Settings(data_dir=Path(env["MUSCOPE_DATA_DIR"])))
        pages = list(addresses(swept.finished(database, sweep()), judged_search(database)))
        database.close()
        yield env, pages


def seconds(server: psutil.Process, client: httpx.Client, url: str) -> float:
    """Of the server's CPU until the whole answer is there: what else runs does not count."""
    before = server.cpu_times()
    client.get(url, timeout=TIMEOUT_S).raise_for_status()
    after = server.cpu_times()
    return float(after.user + after.system - before.user - before.system)


def main() -> None:
    """Print a row per page: medians over fresh servers."""
    options = report.arguments("Pages of a large study.", repeat=5)
    with house() as (env, pages):
        found: dict[str, list[tuple[float, float]]] = {url: [] for _, url in pages}
        for _ in range(options.repeat):
            with server_start.part("server", env) as server, server_start.browser(env) as client:
                server_start.first_page(client)
                client.get(urls.help)
                for _, url in pages:
                    again = [seconds(server, client, url) for _ in range(4)]
                    found[url].append((again[0], statistics.median(again[1:])))
    for name, url in pages:
        first, again = (statistics.median(column) for column in zip(*found[url], strict=True))
        figures: dict[str, str | float] = {
            "page": name, "first": f"{first:.3f} s", "again": f"{again:.3f} s"
        }  # fmt: skip
        report.say(figures, as_json=options.json)


if __name__ == "__main__":
    main()
