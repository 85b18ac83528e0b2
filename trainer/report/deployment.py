"""Measures deployments, from a fitted model to a service that answers: seconds, disk and memory."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from lightfm_retriever.hosting.process import pss_bytes
from lightfm_retriever.publication import labels, layout
from lightfm_retriever.publication.manifest import DatasetFacts
from lightfm_retriever.publication.reader import Publication
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.storage.id_map import IdMap, UserIds
from trainer.errors import TrainerError
from trainer.fitting.embeddings import Embeddings
from trainer.progress import Reporter
from trainer.publishing.publish import Indexing, publish
from trainer.publishing.publishable import Publishable
from trainer.report.scaling import FirstBuild
from trainer.report.subject import ReportOptions, interpolated
from trainer.timings import Timings

_SIZES = (10_000, 100_000, 1_000_000)
_WORKERS = (1, 2, 4)
_QUERIES = 400
_SECONDS = 600


@dataclass(frozen=True)
class Deployment:
    """The measurements of one backend at one size of the catalogue.

    Attributes:
        index_seconds: duration of building, measuring and tuning both indexes.
        publish_seconds: duration of writing, hashing and verifying all files.
        load_seconds: time from the publication until a retriever with one worker served it.
        build_seconds: duration of building and saving the two chosen indexes, part of index_seconds.
        index_bytes: size of both files.
        pss_bytes: memory of all workers together, by number of workers, after some hundred queries. PSS
            (proportional set size) counts shared memory once.
    """

    items: int
    backend: str
    index_seconds: float
    publish_seconds: float
    load_seconds: float
    build_seconds: float
    index_bytes: int
    pss_bytes: dict[int, int]

    @property
    def total_seconds(self) -> float:
        """Time from the fitted model to the first answer."""
        return self.index_seconds + self.publish_seconds + self.load_seconds


def measure_deployments(
    subject: Publication, options: ReportOptions, reporter: Reporter
) -> list[Deployment]:
    """Publish catalogues of interpolated vectors, and serve them with real retrievers.

    Raises:
        TrainerError: a retriever doesn't start, or doesn't serve its version.
    """
    deployments = []
    for size in [size for size in _SIZES if size <= options.max_items] or [options.max_items]:
        source = _catalogue(subject, size, options.tuning.seed)
        for backend in options.backends:
            # Build each backend with its first settings, without tuning.
            first = [FirstBuild(backend)]
            indexing = Indexing(backends=first, options=options.tuning, fall_back=False)
            with tempfile.TemporaryDirectory() as directory:
                deployments.append(_deploy(source, Path(directory), indexing, reporter))
    return deployments


def _catalogue(subject: Publication, size: int, seed: int) -> Publishable:
    vectors = interpolated(subject.vectors[0], size, seed=seed)
    return Publishable(
        items=IdMap.build(map(str, range(size))),
        users=subject.users,
        embeddings=Embeddings(vectors, subject.vectors[1]),
        seen=ragged.empty(len(subject.users)),
        facts=DatasetFacts(
            name=f"{size} interpolated vectors",
            split="none",
            train_interactions=0,
            test_interactions=0,
            item_features=[],
            user_features=[],
        ),
    )


def _deploy(source: Publishable, volume: Path, indexing: Indexing, reporter: Reporter) -> Deployment:
    (volume / layout.VERSIONS).mkdir()
    # Start the retriever before the publication, like one that waits for the next model.
    with _retriever(volume, workers=1) as target:
        published = publish(source, volume, indexing=indexing, timings=Timings(), reporter=reporter)
        labels.promote(volume, published.manifest.version)
        began = time.perf_counter()
        _wait_until_served(target, published.manifest.version)
        load_seconds = time.perf_counter() - began
        pss = {1: _memory_after_queries(target, source.users)}
    for workers in _WORKERS[1:]:
        with _retriever(volume, workers=workers) as target:
            _wait_until_served(target, published.manifest.version)
            pss[workers] = _memory_after_queries(target, source.users)
    manifest, seconds = published.manifest, published.seconds
    return Deployment(
        items=len(source.items),
        backend=indexing.backends[0].name,
        index_seconds=seconds["index"],
        publish_seconds=seconds["publish"] + seconds["verify"],
        load_seconds=load_seconds,
        build_seconds=sum(index.build_seconds for index in manifest.indexes.values()),
        index_bytes=sum(
            manifest.files[index.file].size for index in manifest.indexes.values() if index.file
        ),
        pss_bytes=pss,
    )


@contextlib.contextmanager
def _retriever(volume: Path, *, workers: int) -> Iterator[str]:
    """Run a retriever on a free port; yields its address."""
    command = [sys.executable, "-m", "retriever", "serve", "--volume", str(volume)]
    command += ["--listen", "127.0.0.1:0", "--workers", str(workers), "--drain-seconds", "0"]
    with (
        (volume / "retriever.log").open("ab") as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, process_group=0
        ) as process,
    ):
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            if not (line := process.stdout.readline()):
                raise TrainerError(
                    "the retriever didn't start: "
                    + (volume / "retriever.log").read_text("utf-8", "replace")[-2000:]
                )
            yield line.split()[2]
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


def _channel(target: str) -> grpc.Channel:
    # Each channel has its own connection, so that the calls reach all workers.
    return grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)])


def _wait_until_served(target: str, version: str) -> None:
    ends = time.monotonic() + _SECONDS
    with _channel(target) as channel:
        stub = pb_grpc.RetrieverServiceStub(channel)
        while time.monotonic() < ends:
            status = stub.GetStatus(pb.GetStatusRequest(), timeout=10, wait_for_ready=True)
            # A retriever that has just started may not list any worker yet.
            if {worker.version for worker in status.workers} == {version}:
                return
            if failed := [f for f in status.failed_versions if f.version == version]:
                raise TrainerError(f"the retriever refused {version}: {failed[0].reason}")
            time.sleep(0.05)
    raise TrainerError(f"the retriever didn't serve {version} within {_SECONDS} s")


def _memory_after_queries(target: str, users: UserIds) -> int:
    """Send queries over many connections, then return the sum of all workers' PSS in bytes."""
    rows = np.linspace(0, len(users) - 1, _QUERIES).astype(int).tolist()
    with contextlib.ExitStack() as stack:
        stubs = [pb_grpc.RetrieverServiceStub(stack.enter_context(_channel(target))) for _ in range(16)]
        for row, stub in zip(rows, itertools.cycle(stubs), strict=False):
            request = pb.RecommendRequest(user_id=users.external_id(row), search_effort=1)
            answer = stub.Recommend(request, timeout=60)
            like = pb.SimilarItemsRequest(item_id=answer.items[0].item_id, search_effort=1)
            stub.SimilarItems(like, timeout=60)
        pids = [worker.pid for worker in stubs[0].GetStatus(pb.GetStatusRequest()).workers]
    told = {pid: pss_bytes(pid) for pid in pids}
    for pid, pss in told.items():
        if not pss:
            raise TrainerError(f"the memory (PSS) of worker process {pid} can't be read")
    return sum(told.values())
