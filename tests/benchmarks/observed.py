"""What metrics cost: a retriever of one worker without them, beside ones that count, compare and tell.

    counted     --metrics-listen alone
    watched     as it is run: also online recall of the default share, and a scrape every second
    compared    online recall of every call: as much as it may ever take

All serve one publication, and are asked as in tests.benchmarks.revisions: by one caller who asks them
in turn, call by call, and by 16 callers who ask one at a time, in rounds. CPU time is the worker's and
the parent's, who answers the scrapes. The ratios to the one without, `off`, are what counts. Scrapes
and comparisons take their time each second, not each call: only 16 callers tell what that costs a call.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import re
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lightfm_retriever.hosting import terminal
from lightfm_retriever.publication import labels
from retriever.config import Config
from tests.benchmarks.closed_loop import Round, measure
from tests.benchmarks.revisions import CALLERS, FIGURES, THREADS, WARM_UP_SECONDS, Ratio
from tests.load import models
from tests.machine import machine_name
from tests.service import PATIENCE, Service

OFF = "off"
METRICS = {"metrics_listen": "127.0.0.1:0"}
VARIANTS: dict[str, dict[str, object]] = {
    OFF: {},
    "counted": {**METRICS, "online_recall_share": 0},
    "watched": {**METRICS, "online_recall_share": Config.online_recall_share},
    "compared": {**METRICS, "online_recall_share": 1},
}
_SCRAPE_SECONDS = 1.0

# By variant: its rounds.
Rounds = dict[str, list[Round]]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.observed",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--items", type=int, default=20_000, help="items of the catalogue")
    parser.add_argument("--rounds", type=int, default=8, help="of each way to ask")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each round and variant")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        volume = Path(temporary) / "volume"
        size = models.Size(items=options.items, components=64, every=False)
        labels.promote(volume, models.publish(volume, "a", 1, size).version)
        results = compare(volume, rounds=options.rounds, seconds=options.seconds)
    _print(results, as_json=options.json)
    return 0


def compare(volume: Path, *, rounds: int, seconds: float) -> dict[int, Rounds]:
    """By number of callers: each variant's rounds, which were taken in turn.

    Args:
        volume: where all serve from.
        rounds: of each number of callers.
        seconds: of each round and variant.
    """
    with contextlib.ExitStack() as stack:
        targets: dict[str, tuple[str, list[int]]] = {}
        for name, flags in VARIANTS.items():
            log = volume.parent / name
            service = stack.enter_context(Service(volume, log, workers=1, threads=THREADS, **flags))
            status = service.wait_until(lambda status: any(one.version for one in status.workers))
            targets[name] = service.target, [service.pid, *(one.pid for one in status.workers)]
            if name == "watched":
                stack.enter_context(_scraped(service))
        for target, pids in targets.values():
            measure({target: pids}, seconds=WARM_UP_SECONDS)
        results: dict[int, Rounds] = {}
        for callers in (1, CALLERS):
            own: Rounds = {name: [] for name in VARIANTS}
            for number in range(rounds):
                # Who is first changes.
                names = [*VARIANTS]
                names = names[number % len(names) :] + names[: number % len(names)]
                asked = _ask({name: targets[name] for name in names}, callers, seconds)
                for name, one in zip(names, asked, strict=True):
                    own[name].append(one)
            results[callers] = own
        return results


def _ask(targets: Mapping[str, tuple[str, list[int]]], callers: int, seconds: float) -> list[Round]:
    if callers == 1:
        return measure(dict(targets.values()), seconds=seconds * len(targets), connections=1)
    return [
        one
        for target, pids in targets.values()
        for one in measure({target: pids}, seconds=seconds, connections=callers)
    ]


@contextlib.contextmanager
def _scraped(service: Service) -> Iterator[None]:
    """Read a service's metrics every second until the block ends."""
    found = re.search(r"metrics on (\S+)", service.log)
    assert found is not None
    url = f"http://{found[1]}/metrics"
    stop = threading.Event()

    def scrape() -> None:
        while not stop.wait(_SCRAPE_SECONDS):
            with urllib.request.urlopen(url, timeout=PATIENCE) as response:
                response.read()

    thread = threading.Thread(target=scrape)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _ratio(rounds: Rounds, name: str, figure: str) -> Ratio:
    sides = ([getattr(one, figure) for one in rounds[which]] for which in (name, OFF))
    return Ratio.of(*sides)


def _print(results: Mapping[int, Rounds], *, as_json: bool) -> None:
    machine = machine_name()
    if as_json:
        by_callers = {
            callers: {
                name: {
                    "rounds": [asdict(one) for one in of_variant],
                    "ratios": {figure: asdict(_ratio(rounds, name, figure)) for figure in FIGURES},
                }
                for name, of_variant in rounds.items()
            }
            for callers, rounds in results.items()
        }
        print(json.dumps({"machine": machine, "callers": by_callers}, indent=2))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.title = f"{machine}; to the one without metrics: medians (and ranges) of rounds' ratios"
    table.add_column("callers")
    table.add_column("")
    for column, _ in FIGURES.values():
        table.add_column(column, justify="right")
    for callers, rounds in results.items():
        for name in VARIANTS:
            if name != OFF:
                ratios = (str(_ratio(rounds, name, figure)) for figure in FIGURES)
                table.add_row(str(callers), name, *ratios)
    Console(width=None if sys.stdout.isatty() else 140, highlight=False).print(table)


if __name__ == "__main__":
    sys.exit(terminal.run(main))
