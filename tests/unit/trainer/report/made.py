"""Figures of a report, made up."""

import itertools
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
    query: dict[str, Scalar] = {"effort": number}
    found = {"recall_at_10": recall, "query_microseconds": 20.5 * number}
    return MeasuredSetting(backend=backend, build=build, query=query, **found)


def accuracy(backends: Sequence[str] = BACKENDS, **changes: Any) -> Accuracy:
    """Curves of six settings each, precision, and a sample of each kind."""
    every = itertools.product(backends, range(1, 7))
    curves = [trial(name, number, recall=min(1.0, 0.5 + 0.1 * number)) for name, number in every]
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
    made = []
    kinds, places = ("repeated", "interpolated"), enumerate((PAIRWISE, *backends), start=1)
    for kind, size, (place, name) in itertools.product(kinds, sizes, places):
        recall = 0.42 if (name, size) == ("annoy", sizes[-1]) else 0.97
        size_of_file = 0 if name in (PAIRWISE, "exact") else 400 * size
        trials = [] if name == PAIRWISE else [trial(name, number) for number in (1, 2, 3)]
        times = 10.0 * place + size / 100, size / 1234
        made.append(Point(kind, size, name, recall, *times, size_of_file, trials))
    return made


def deployments(
    backends: Sequence[str] = BACKENDS, sizes: Sequence[int] = (10_000, 100_000)
) -> list[Deployment]:
    """One of each backend at each size."""
    made = []
    for size, (place, name) in itertools.product(sizes, enumerate(backends)):
        pss = {workers: mb * 1_000_000 + size for workers, mb in ((1, 50), (2, 60), (4, 80))}
        seconds = size / 5000 + place, 0.25, 0.125, size / 10_000
        made.append(Deployment(size, name, *seconds, 0 if name == "exact" else 500 * size, pss))
    return made
