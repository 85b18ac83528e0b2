"""What metrics cost: a retriever of one worker without them, beside ones that count, compare and tell.

    counted     --metrics-listen alone
    watched     as it is run: also online recall of the default share, and a scrape every second
    compared    online recall of every call: as much as it may ever take

All serve one publication, and each is asked beside the one without, `off`, as in
tests.benchmarks.revisions: by one caller who asks both in turn, call by call, and by 16 callers who ask
one at a time, in rounds. CPU time is the worker's and the parent's, who answers the scrapes. The ratios
to the one without are what counts. Scrapes and comparisons take their time each second, not each call:
only 16 callers tell what that costs a call.
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
    parser.add_argument("--rounds", type=frame.positive, default=8, help="of each way to ask")
    parser.add_argument("--seconds", type=frame.above_0, default=2.0, help="of each round and variant")
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
    """Ask each variant beside the one without metrics; by variant its comparisons."""
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


if __name__ == "__main__":
    frame.run(main)
