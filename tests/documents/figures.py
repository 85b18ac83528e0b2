"""The README's figures: measured by the project's own commands, kept in docs/figures.json.

`make figures` measures them anew and writes the table between the README's marks.
"""

import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from lightfm_retriever.publication.labels import read_label
from lightfm_retriever.publication.reader import open_publication

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docs/figures.json"
README = ROOT / "README.md"
_BEGIN, _END = "<!-- figures -->\n", "<!-- end of figures -->"
_CATALOGUE = 100_000
_BATCH = 64
_PYTHON = [sys.executable, "-m"]
_STEADY = ["tests.load.k6", "steady", "--duration", "30s"]
_SWAP = ["tests.load.k6", "publish_and_roll_back", "--duration", "30s"]
_SERVING = ["tests.benchmarks.serving", "--items", str(_CATALOGUE), "--users", "10000"]
_SERVING += ["--kinds", "recommend", "batch"]


class Figures(msgspec.Struct, frozen=True):
    """What the README states.

    Attributes:
        machine: processor, cores and Python, in words.
        date: of the measurement.
        precision, popular: precision@10 on MovieLens 100K, of the model and of popularity.
        steady_p50, steady_p99: milliseconds of all calls at `steady_rate` a second.
        recall: recall@10 of answers for a catalogue of `items`.
        calls: recommendations a second of one worker, 16 callers at a time, for that catalogue.
        batch: the same in batches.
        swap_calls, swap_failed: calls while a label moved `swaps` times, and how many failed.
    """

    machine: str
    date: str
    precision: float
    popular: float
    steady_rate: int
    steady_p50: float
    steady_p99: float
    items: int
    recall: float
    calls: float
    batch: float
    swaps: int
    swap_calls: int
    swap_failed: int


def measure(volume: Path) -> Figures:
    """Run the commands; six minutes. `volume` holds MovieLens 100K as the demo publishes it."""
    metrics = metrics_of(volume)
    steady = _run([*_STEADY, "--volume", str(volume)])
    swap = _run(_SWAP)
    kinds = {own["kind"]: own for own in _run(_SERVING)["sizes"][0]["kinds"]}
    rates = {name: own["closed"]["16"]["retriever"]["calls_per_second"] for name, own in kinds.items()}
    return Figures(
        machine=steady["machine"],
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        precision=metrics["test_precision_at_10_unseen"],
        popular=metrics["test_precision_at_10_popular"],
        steady_rate=steady["rate"],
        steady_p50=_all(steady)["p50_milliseconds"],
        steady_p99=_all(steady)["p99_milliseconds"],
        items=_CATALOGUE,
        recall=kinds["recommend"]["recall_at_10"],
        calls=rates["recommend"],
        batch=rates["batch"] * _BATCH,
        swaps=len(swap["switch_seconds"]),
        swap_calls=_all(swap)["count"],
        swap_failed=_all(swap)["failed"],
    )


def metrics_of(volume: Path) -> Mapping[str, float]:
    """The metrics of the version that label current names."""
    return open_publication(volume, read_label(volume, "current")).manifest.metrics


def table(own: Figures) -> str:
    """The README's table."""
    batches = f"{own.calls:,.0f} calls/s, {own.batch:,.0f} lists/s in batches"
    failed = f"{own.swap_failed} of {own.swap_calls:,} calls failed"
    rows = [
        (
            "Quality",
            f"precision@10 {own.precision:.3f} on MovieLens 100K; popularity: {own.popular:.3f}",
        ),
        ("Recall", f"{own.recall:.3f} of the exact ten best, {own.items:,} items"),
        (
            "Latency",
            f"{own.steady_p50:.1f} ms median, {own.steady_p99:.1f} ms p99, {own.steady_rate} calls/s",
        ),
        ("Throughput", f"{batches}; one worker, {own.items:,} items"),
        ("Reload", f"{failed} while a label moved {own.swaps} times"),
    ]
    lines = ["| | Measured |", "| --- | --- |"]
    lines += [f"| {name} | {text} |" for name, text in rows]
    where = f"{own.machine}, {own.date}; callers share the cores. `make figures` measures these;"
    more = "[benchmarks](docs/explanation/benchmarks.md) has more."
    return "\n".join([*lines, "", where, more])


def with_table(page: str, own: Figures) -> str:
    """A page with the figures between its marks."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n{table(own)}\n\n{_END}{after}"


def read() -> Figures:
    """The figures of the last measurement."""
    return msgspec.json.decode(FILE.read_bytes(), type=Figures)


def write(own: Figures) -> None:
    """Keep the figures, and write them into the README."""
    FILE.write_bytes(msgspec.json.format(msgspec.json.encode(own), indent=2) + b"\n")
    README.write_text(with_table(README.read_text("utf-8"), own), "utf-8")


def _run(command: list[str]) -> Any:
    done = subprocess.run(
        [*_PYTHON, *command, "--json"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout)


def _all(result: Any) -> Any:
    return next(row for row in result["rows"] if row["calls"] == "all")
