"""Measure the cost of metrics: compare a retriever of one worker without metrics with three variants.

    counted     only --metrics-listen
    watched     also online recall of the default share of calls, and a scrape every second
    compared    also online recall of every call, up to its time limit

All variants serve one publication. Each is compared with the retriever without metrics, `off`, as in
tests.benchmarks.revisions: one caller calls both in turn, and 16 callers call one of them at a time, in
rounds. CPU time is of the worker and of the parent, which answers the scrapes. Look at the ratios to
`off`. Scrapes and comparisons cost time per second, not per call, so only the 16 callers show their
cost per call.
"""

import contextlib
import re
import tempfile
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from lightfm_retriever.publication import labels
from retriever.config import Config
from tests.benchmarks import frame
from tests.benchmarks.asking import Server
from tests.benchmarks.revisions import FIGURES, THREADS, Comparison, compare
from tests.load import models
from tests.machine import machine_name
from tests.service import PATIENCE, Service

METRICS = {"metrics_listen": "127.0.0.1:0"}
VARIANTS: dict[str, dict[str, object]] = {
    "off": {},
    "counted": {**METRICS, "online_recall_share": 0},
    "watched": {**METRICS, "online_recall_share": Config.online_recall_share},
    "compared": {**METRICS, "online_recall_share": 1},
}
_SCRAPE_SECONDS = 1.0


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    parser.add_argument("--items", type=int, default=20_000, help="items of the catalogue")
    parser.add_argument("--rounds", type=frame.positive, default=8, help="rounds of each comparison")
    parser.add_argument(
        "--seconds", type=frame.above_0, default=2.0, help="seconds of each round and variant"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        volume = Path(temporary) / "volume"
        size = models.Size(items=options.items, components=64, every=False)
        labels.promote(volume, models.publish(volume, "a", 1, size).version)
        results = measure(volume, options.rounds, options.seconds)
    rows = [
        {"": name, "callers": str(one.callers)}
        | {column: str(one.ratio(figure)) for figure, (column, _) in FIGURES.items()}
        for name, own in results.items()
        for one in own
    ]
    title = f"{machine_name()}; to the one without metrics: medians (and ranges) of rounds' ratios"
    described = {name: [one.described for one in own] for name, own in results.items()}
    frame.report(options, frame.table(title, rows), variants=described)


def measure(volume: Path, rounds: int, seconds: float) -> dict[str, list[Comparison]]:
    """Compare each variant with the retriever without metrics. Returns the comparisons by variant."""
    with contextlib.ExitStack() as stack:
        servers = {}
        for name, flags in VARIANTS.items():
            log = volume.parent / name
            service = stack.enter_context(Service(volume, log, workers=1, threads=THREADS, **flags))
            status = service.wait_until(lambda status: any(one.version for one in status.workers))
            servers[name] = Server(service.target, [service.pid, *(one.pid for one in status.workers)])
            if name == "watched":
                stack.enter_context(_scraped(service))
        off = servers.pop("off")
        return {
            name: compare([off, server], ["Recommend"], rounds, seconds)
            for name, server in servers.items()
        }


@contextlib.contextmanager
def _scraped(service: Service) -> Iterator[None]:
    """Scrape a service's metrics every second until the block ends."""
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


if __name__ == "__main__":
    frame.run(main)
