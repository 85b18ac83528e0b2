"""Measure memory and time of publishing vectors, relative to the size of the largest index.

    python -m tests.benchmarks.publishing --items 1000000 5000000 --backend annoy faiss --folder DIR

tests.benchmarks.synthetic creates the vectors, with a tenth as many users as items. For each size and
backend, `trainer publish` publishes them in its own process. It builds one index of each kind, without
tuning: with the given number of Annoy's trees, or with the first settings of the other backends.

The kernel can't take back anonymous memory. The benchmark reads it every few milliseconds, so it may
miss shorter peaks. Resident memory also has pages of mapped files, which the kernel drops if memory is
short; the kernel itself records the peak. The ratio is the anonymous peak divided by the file of the
largest index. For FAISS and NMSLIB, that file is as large as the index in memory. The target is at most
1.5. The interpreter and its libraries count, too; with small indexes, they are most of the memory.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks import frame, large, room, synthetic
from tests.benchmarks.frame import BenchmarkError
from tests.benchmarks.room import Room
from tests.benchmarks.synthetic import VectorsSpec
from tests.machine import machine_name
from trainer.index import NAMES
from trainer.progress import Reporter

TARGET = 1.5
ITEMS_PER_USER = 10
ROOT = Path(__file__).parents[2]
_SAMPLING_SECONDS = 0.005
# Maximum size of both indexes, the vectors, and the reordered vectors, relative to the vectors.
_FILES = 10


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    indexed = [name for name in NAMES if name != "exact"]
    for name, default, of, more in (
        ("items", [1_000_000], "items of each catalogue (default: 1000000)", {"nargs": "+"}),
        ("components", 64, "dimensions of the vectors (default: 64)", {}),
        ("trees", 10, "trees of Annoy (default: 10)", {}),
    ):
        parser.add_argument(f"--{name}", type=frame.positive, default=default, help=of, **more)
    told = "backends of the index (default: annoy)"
    parser.add_argument("--backend", nargs="+", default=["annoy"], choices=indexed, help=told)
    parser.add_argument("--folder", type=Path, help="folder to keep vectors in (default: delete them)")
    options = parser.parse_args()
    reporter = frame.reporter(options)
    results = []
    with (
        large.kept_in(options.folder) as folder,
        reporter.step("Publications", len(options.items) * len(options.backend)) as advance,
    ):
        for items in options.items:
            vectors = made(folder, items, options.components, reporter)
            for backend in options.backend:
                subject = {"items": items, "components": options.components, "backend": backend}
                if backend == "annoy":
                    subject["trees"] = options.trees
                with tempfile.TemporaryDirectory(prefix=".publishing-", dir=folder) as volume:
                    results.append({"subject": subject, **measure(subject, vectors, Path(volume))})
                advance(1)
    table = frame.table(f"{machine_name()}; MB", map(_row, results), left=2)
    frame.report(options, table, target=TARGET, results=results)


def made(folder: Path, items: int, components: int, reporter: Reporter) -> Path:
    """Return the folder of the vectors, and create them unless they exist."""
    place = folder / f"vectors-{items}-{components}"
    users, clusters = -(-items // ITEMS_PER_USER), min(items, VectorsSpec.clusters)
    spec = VectorsSpec(users=users, items=items, components=components, clusters=clusters)
    needed = synthetic.needed_bytes(spec)
    Room(0, _FILES * needed).check(f"publishing {items} items", folder)
    if not place.exists():
        with synthetic.making(place, needed) as new:
            synthetic.write_vectors(spec, new, reporter)
    return place


def measure(subject: dict[str, Any], vectors: Path, volume: Path) -> dict[str, Any]:
    """Publish in a separate process. Raises BenchmarkError if it fails.

    Returns:
        Peaks of memory and sizes of index files in bytes, recall by index, and seconds by stage.
    """
    command = [sys.executable, "-m", "trainer", "publish", "--json", f"--volume={volume}", "--no-label"]
    command += [f"--{side}-vectors={vectors / f'{side}s.npy'}" for side in ("item", "user")]
    command += [f"--{side}-ids={vectors / f'{side}s.txt'}" for side in ("item", "user")]
    command += [f"--backend={subject['backend']}", "--target-recall=0.01"]
    command += [f"--trees={subject['trees']}"] if "trees" in subject else []
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryFile("w+") as failure:
        with subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=failure) as process:
            try:
                peaks = watch(process)
            except BaseException:
                process.kill()
                raise
        if process.returncode:
            failure.seek(0)
            said_last = frame.last_line(failure.read())
            raise BenchmarkError(f"publishing ended with exit status {process.returncode}: {said_last}")
        said.seek(0)
        published: dict[str, Any] = json.load(said)
    directory = volume / "versions" / published["version"]
    indexes = published["indexes"]
    index_bytes = {name: (directory / of["file"]).stat().st_size for name, of in indexes.items()}
    return {
        "peaks": peaks,
        "index_bytes": index_bytes,
        "recall": {name: of["recall_at_10"] for name, of in indexes.items()},
        "seconds": published["seconds"],
        "ratio": peaks["anonymous"] / max(index_bytes.values()),
    }


def watch(process: subprocess.Popen[bytes]) -> dict[str, int]:
    """Return the peaks of a process's memory in bytes: anonymous, and resident."""
    anonymous = resident = 0
    while True:
        # A process that has ended still has this file until `wait`.
        seen = room.of_process(process.pid)
        anonymous = max(anonymous, seen.get("RssAnon", 0))
        resident = seen.get("VmHWM", resident)
        try:
            process.wait(_SAMPLING_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return {"anonymous": anonymous, "resident": resident}


def _row(one: dict[str, Any]) -> dict[str, str]:
    subject, peaks, largest = one["subject"], one["peaks"], max(one["index_bytes"].values())
    return {
        "backend": subject["backend"],
        "": "kept" if one["ratio"] <= TARGET else "missed",
        "items": f"{subject['items']:,}",
        "d": str(subject["components"]),
        "largest index": f"{largest / 1e6:,.0f}",
        "anonymous, peak": f"{peaks['anonymous'] / 1e6:,.0f}",
        "ratio": f"{one['ratio']:.2f}",
        "resident, peak": f"{peaks['resident'] / 1e6:,.0f}",
        **{f"{stage}, s": f"{seconds:,.1f}" for stage, seconds in one["seconds"].items()},
        "recall": ", ".join(f"{recall:.2f}" for recall in one["recall"].values()),
    }


if __name__ == "__main__":
    frame.run(main)
