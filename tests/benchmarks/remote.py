"""Measure how long a version takes from a folder to a serving retriever, through a local S3 store.

    python -m tests.benchmarks.remote --items 1000000 --users 1000000 --folder DIR

The store is SeaweedFS. `remote.volume` uploads, and a retriever with a cache downloads. All run on the
same cores and disk, so separate machines would be faster.

- all of it: a retriever serves a small version. The large version is uploaded and the label moved,
  until the workers serve it.
- what changed: the same for a version with new user vectors, whose other files are unchanged.
- again: the retriever restarts without the store, and its cache has both versions.

For comparison, it measures two bandwidths: of the loopback, by one connection between two processes,
and of the store alone. The latter reads the same bytes with as many parallel requests as the cache.
"""

import multiprocessing
import os
import re
import shutil
import socket
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from lightfm_retriever.publication import layout, reader
from lightfm_retriever.publication.writer import Staging
from lightfm_retriever.remote.download import AT_ONCE
from lightfm_retriever.remote.location import parse_location
from lightfm_retriever.remote.store import PIECE_BYTES, Store
from lightfm_retriever.remote.volume import open_volume
from tests import seaweedfs
from tests.benchmarks import frame, large
from tests.benchmarks.frame import BenchmarkError
from tests.benchmarks.large import Large
from tests.benchmarks.room import Room
from tests.load import models
from tests.machine import machine_name
from tests.service import Service

PATIENCE = 600
_LOOPBACK_BYTES = 2_000_000_000
_MEGABYTE = 1e6


def main() -> None:
    parser = frame.parser(__spec__.name, __doc__)
    large.add_arguments(parser, items=[1_000_000])
    options = parser.parse_args()
    if (program := seaweedfs.program()) is None:
        raise BenchmarkError(seaweedfs.MISSING)
    # The store, the cache and the changed version each have a copy.
    for made in large.each(options, lambda recipe: Room(2e9, 4 * large.needs(recipe).disk)):
        result = measure(made, program, options.folder)
        loopback, store = (f"{result[one] / _MEGABYTE:,.0f} MB/s" for one in ("loopback", "store"))
        anew = f"{result['restart_seconds']:.2f} s"
        frame.report(
            options,
            frame.table(f"{made.title}; {machine_name()}", map(_row, result["ways"])),
            f"bandwidth: {loopback} of the loopback by one connection, {store} of the store alone",
            f"restart without the store, until it serves: {anew}",
            **asdict(made.recipe),
            **result,
        )


def measure(made: Large, program: Path, folder: Path | None) -> dict[str, Any]:
    """Upload versions to a store, and measure until a retriever's workers serve them.

    Returns:
        Bandwidths in bytes per second, the `ways` of the versions, and the seconds from the command of
        a restart until the workers serve. `moved` is the number of bytes from the store to the cache.
        `serve_seconds` begin with the move of the label. They include `fetch_seconds`, which are from
        the retriever's log.
    """
    with (
        tempfile.TemporaryDirectory(dir=folder) as temporary,
        seaweedfs.server(program) as server,
    ):
        os.environ.update(server.environment)
        place = Path(temporary)
        volume = open_volume(parse_location(server.url("volume")), place / "own")
        small = models.publish(volume.folder, "small", 1).version
        volume.upload(small)
        volume.promote(small)
        versions = {"all of it": made.version, "what changed": _changed(made)}
        for version in versions.values():
            # The folder that a remote volume uploads from.
            target = layout.version_dir(volume.folder, version)
            shutil.copytree(layout.version_dir(made.volume, version), target, copy_function=os.link)
        cache = place / "cache"
        flags = {"cache_dir": cache, "poll_seconds": 0.1, "drain_seconds": 0}
        ways = []
        with Service(server.url("volume"), place / "log", **flags) as service:
            service.wait_until_all_serve(small)
            for name, version in versions.items():
                started = time.perf_counter()
                volume.upload(version)
                uploaded = time.perf_counter()
                volume.promote(version)
                service.wait_until_all_serve(version, seconds=PATIENCE)
                served = time.perf_counter()
                files = [path.stat() for path in layout.version_dir(cache, version).iterdir()]
                ways.append(
                    {
                        "name": name,
                        "bytes": sum(own.st_size for own in files),
                        # Files that no other version in the cache shares.
                        "moved": sum(own.st_size for own in files if own.st_nlink == 1),
                        "upload_seconds": uploaded - started,
                        "fetch_seconds": _fetch_seconds(service.log, version),
                        "serve_seconds": served - uploaded,
                    }
                )
            service.terminate()
        store = _store_bandwidth(Store(parse_location(server.url("volume"))), made)
        server.stop()
        started = time.perf_counter()
        with Service(server.url("volume"), place / "log2", **flags) as service:
            service.wait_until_all_serve(versions["what changed"], seconds=PATIENCE)
            restarted = time.perf_counter() - started
            service.terminate()
        measured = {"loopback": _loopback_bandwidth(), "store": store, "ways": ways}
        return {**measured, "restart_seconds": restarted}


def _changed(made: Large) -> str:
    """Publish the same version with other user vectors. Moves no label."""
    facts = reader.read_manifest(made.volume, made.version)
    with Staging(made.volume) as staging:
        for name in facts.files:
            if name != layout.USER_VECTORS:
                os.link(made.directory / name, staging.path(name))
        vectors = np.load(made.directory / layout.USER_VECTORS)
        staging.add_array(layout.USER_VECTORS, vectors * np.float32(1.001))
        return staging.publish(facts).version


def _fetch_seconds(log: str, version: str) -> float:
    found = re.search(rf"version {version} downloaded in ([0-9.]+) s", log)
    if found is None:
        raise BenchmarkError(f"the retriever's log doesn't say how long it fetched {version}")
    return float(found.group(1))


def _store_bandwidth(store: Store, made: Large) -> float:
    facts = reader.read_manifest(made.volume, made.version)
    pieces = [
        (f"{layout.VERSIONS}/{made.version}/{name}", start, min(start + PIECE_BYTES, own.size))
        for name, own in facts.files.items()
        for start in range(0, own.size, PIECE_BYTES)
    ]
    started = time.perf_counter()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        total = sum(pool.map(lambda piece: len(store.read_range(*piece)), pieces))
    return total / (time.perf_counter() - started)


def _loopback_bandwidth() -> float:
    """Measure one TCP connection between two processes, with all copying in the kernel."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sender = multiprocessing.get_context("spawn").Process(
            target=_send, args=(listener.getsockname()[1],)
        )
        sender.start()
        connection, _ = listener.accept()
        buffer, total = bytearray(1 << 20), 0
        started = time.perf_counter()
        with connection:
            while count := connection.recv_into(buffer):
                total += count
        seconds = time.perf_counter() - started
        sender.join()
    return total / seconds


def _send(port: int) -> None:
    data = bytes(1 << 20)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        for _ in range(_LOOPBACK_BYTES // len(data)):
            connection.sendall(data)


def _row(way: dict[str, Any]) -> dict[str, str]:
    return {
        "version": way["name"],
        "MB": f"{way['bytes'] / _MEGABYTE:,.0f}",
        "MB moved": f"{way['moved'] / _MEGABYTE:,.0f}",
        "upload s": f"{way['upload_seconds']:.2f}",
        "label to serving s": f"{way['serve_seconds']:.2f}",
        "of that fetching s": f"{way['fetch_seconds']:.2f}",
        "all s": f"{way['upload_seconds'] + way['serve_seconds']:.2f}",
    }


if __name__ == "__main__":
    frame.run(main)
