"""Figures of a report, made up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightfm_retriever.publication.manifest import MeasuredSetting, Scalar
from trainer.report.accuracy import Accuracy, Precision, Sample
from trainer.report.deployment import Deployment
from trainer.report.scaling import PAIRWISE, Point

BACKENDS = ("exact", "annoy", "faiss", "nmslib")


def trial(backend: str, number: int = 1, *, recall: float = 0.96) -> MeasuredSetting:
    """A setting of a backend."""
    build: dict[str, Scalar] = {} if backend == "exact" else {"of": number // 3}
    return MeasuredSetting(
        backend=backend,
        build=build,
        query={"effort": number},
        recall_at_10=recall,
        query_microseconds=20.5 * number,
    )


def accuracy(backends: Sequence[str] = BACKENDS, **changes: Any) -> Accuracy:
    """Curves of six settings each, precision, and a sample of each kind."""
    curves = [
        trial(name, number, recall=min(1.0, 0.5 + 0.1 * number))
        for name in backends
        for number in range(1, 7)
    ]
    chosen = [trial(name, 4, recall=0.9) for name in backends]
    answers = {name: [f"{name} answers", "b < c & d"] for name in backends}
    made: dict[str, Any] = {
        "trials": {"similar": curves, "recommend": curves},
        "chosen": {"similar": chosen, "recommend": chosen},
        "precision": [
            Precision(name, *(0.1234 + 0.1 * place + 0.01 * number for number in range(4)))
            for place, name in enumerate(backends)
        ],
        "users": [Sample("user <u&1>", ["seen one", "seen two"], answers)],
        "items": [Sample("<i>item</i>", [], answers)],
    }
    return Accuracy(**{**made, **changes})


def points(backends: Sequence[str] = BACKENDS, sizes: Sequence[int] = (1000, 10_000)) -> list[Point]:
    """Time against size, one point of which misses the target."""
    return [
        Point(
            vectors=kind,
            items=size,
            backend=backend,
            recall_at_10=0.42 if (backend, size) == ("annoy", sizes[-1]) else 0.97,
            query_microseconds=10.0 * place + size / 100,
            build_seconds=size / 1234,
            file_bytes=0 if backend in (PAIRWISE, "exact") else 400 * size,
            trials=[] if backend == PAIRWISE else [trial(backend, number) for number in (1, 2, 3)],
        )
        for kind in ("repeated", "interpolated")
        for size in sizes
        for place, backend in enumerate((PAIRWISE, *backends), start=1)
    ]


def deployments(
    backends: Sequence[str] = BACKENDS, sizes: Sequence[int] = (10_000, 100_000)
) -> list[Deployment]:
    """One of each backend at each size."""
    return [
        Deployment(
            items=size,
            backend=backend,
            index_seconds=size / 5000 + place,
            publish_seconds=0.25,
            load_seconds=0.125,
            build_seconds=size / 10_000,
            index_bytes=0 if backend == "exact" else 500 * size,
            pss_bytes={1: 50_000_000 + size, 2: 60_000_000 + size, 4: 80_000_000 + size},
        )
        for size in sizes
        for place, backend in enumerate(backends)
    ]
