"""The Prometheus metrics of the service: the workers' counters and the parent's facts.

Scrapes run on other threads than the one that changes the state. So they read only counters, and state
that is replaced as a whole.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from lightfm_retriever.hosting.observing.metric_families import (
    SecondsHistogram,
    add_histogram,
    build_info,
    gauge,
)
from lightfm_retriever.hosting.process import pss_bytes
from lightfm_retriever.hosting.serving import descriptors
from lightfm_retriever.publication import layout
from retriever import control, counters
from retriever.answer_words import SearchMethod, ShortReason, Source
from retriever.counters import BUCKETS, CODES, METHODS, Counters, Key

_OUTCOMES = ("succeeded", "failed")
# The states of GetStatus. The parent's additional state "booted" counts as starting.
_STATES = ("starting", "running", "down")
_ANSWERS = (
    "Answers, by the source of the ranking and by whether an index or exact search found them. Each "
    "request of a batch counts as one answer."
)
_SHORT = "Answers with fewer items than the limit, by reason."
# A reload takes from milliseconds to minutes: upper ends in seconds.
_RELOAD_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)


class RetrieverMetrics:
    """Collect the metrics of a number of workers. Each worker counts into one of `slots`.

    `fleet` returns the state of the whole service, None before there is any.
    """

    def __init__(self, workers: int, fleet: Callable[[], control.ServiceState | None]) -> None:
        self.slots = [Counters.create() for _ in range(workers)]
        self._fleet = fleet
        self._reloads = {outcome: SecondsHistogram(_RELOAD_BOUNDS) for outcome in _OUTCOMES}
        self._lock = threading.Lock()

    def reloaded(self, facts: control.ReloadFacts) -> None:
        """Count a reload that ended, and its duration."""
        with self._lock:
            self._reloads[_OUTCOMES[not facts.succeeded]].observe(facts.seconds)

    def collect(self) -> Iterator[Metric]:
        """Return all metrics as of now."""
        # Read the state first: every reload in it is already counted.
        fleet = self._fleet()
        of_slots = [slot.read() for slot in self.slots]
        total = {key: sum(counts[key] for counts in of_slots) for key in of_slots[0]}
        yield build_info("retriever")
        yield from _calls(total)
        yield from _answers(total)
        yield from self._of_reloads()
        yield gauge(
            "retriever_parent_memory_bytes",
            "Memory (PSS) of the parent process, in bytes.",
            pss_bytes(),
        )
        yield gauge(
            "retriever_parent_open_fds", "Open file descriptors of the parent.", descriptors.opened()
        )
        yield gauge(
            "retriever_parent_max_fds",
            "Limit of open file descriptors of the parent.",
            descriptors.limit(),
        )
        yield CounterMetricFamily(
            "retriever_online_recall_samples",
            "Answers of an index that were compared with exact search.",
            value=total["samples",],
        )
        yield CounterMetricFamily(
            "retriever_online_recall_skipped",
            "Sampled answers that weren't compared, since comparing may take at most 2 % of the time.",
            value=total["skipped",],
        )
        if fleet is not None:
            yield from _workers(fleet.workers)
            yield from _version(fleet, of_slots)

    def _of_reloads(self) -> Iterator[Metric]:
        durations = HistogramMetricFamily(
            "retriever_reload_duration_seconds",
            "Time from noticing a version to serving it, or to giving up, in seconds.",
            labels=["outcome"],
        )
        with self._lock:
            for outcome, histogram in self._reloads.items():
                histogram.add_to(durations, [outcome])
            ended = {(outcome,): histogram.count for outcome, histogram in self._reloads.items()}
        yield _counter(
            "retriever_reloads", "Attempts to load a version, by outcome.", ended, labels=["outcome"]
        )
        yield durations


def _counter(
    name: str, documentation: str, values: Mapping[Any, int], *, labels: Sequence[str]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, documentation, labels=labels)
    for own, value in values.items():
        family.add_metric(own, value)
    return family


def _calls(total: dict[Key, int]) -> Iterator[Metric]:
    calls = {
        (method, code): count
        for method, code in itertools.product(METHODS, CODES)
        if (count := total["calls", method, code]) or code == "OK"
    }
    yield _counter(
        "retriever_calls",
        "Calls that ended, by method and gRPC status code.",
        calls,
        labels=["method", "code"],
    )
    durations = HistogramMetricFamily(
        "retriever_call_duration_seconds",
        "Time from receiving a request to sending its answer, in seconds. Calls that were refused "
        "unread aren't included.",
        labels=["method"],
    )
    for method in METHODS:
        counts = [total["durations", method, bucket] for bucket in BUCKETS]
        if any(counts):
            seconds = total["nanoseconds", method] / 1e9
            add_histogram(durations, [method], bounds=counters.BOUNDS, counts=counts, total=seconds)
    yield durations


def _answers(total: dict[Key, int]) -> Iterator[Metric]:
    for name, kind, words, documentation in (
        ("retriever_candidates", "candidates", {}, "Items that searches examined."),
        ("retriever_answers", "answers", {"source": Source, "search": SearchMethod}, _ANSWERS),
        ("retriever_short_answers", "short", {"reason": ShortReason}, _SHORT),
    ):
        keys = itertools.product(METHODS, *words.values())
        found = {key: count for key in keys if (count := total[kind, *key])}
        yield _counter(name, documentation, found, labels=["method", *words])


def _workers(workers: Sequence[control.WorkerFacts]) -> Iterator[Metric]:
    restarts = {(str(worker.index),): worker.restarts for worker in workers}
    yield _counter("retriever_worker_restarts", "Restarts of a worker.", restarts, labels=["worker"])
    memory = "Memory (PSS) of a worker, in bytes. A page that n processes map counts 1/n."
    for name, field, documentation in (
        ("retriever_calls_in_flight", "in_flight", "Calls that a worker is handling."),
        ("retriever_worker_memory_bytes", "pss_bytes", memory),
        ("retriever_worker_open_fds", "open_fds", "Open file descriptors of a worker."),
        ("retriever_worker_max_fds", "max_fds", "Limit of open file descriptors of a worker."),
        ("retriever_worker_connections", "connections", "Client connections of a worker."),
    ):
        values: dict[tuple[str, ...], float] = {
            (str(worker.index),): getattr(worker.load, field) for worker in workers
        }
        yield gauge(name, documentation, values, labels=["worker"])
    states = Counter("starting" if own.state == "booted" else own.state for own in workers)
    counts: dict[tuple[str, ...], float] = {(state,): states[state] for state in _STATES}
    yield gauge("retriever_workers", "Workers, by state.", counts, labels=["state"])


def _version(fleet: control.ServiceState, of_slots: Sequence[dict[Key, int]]) -> Iterator[Metric]:
    yield gauge(
        "retriever_label_problem", "1 while the label can't be followed.", bool(fleet.label_problem)
    )
    yield gauge(
        "retriever_served_problem",
        "1 while files of the served version have changed since they were verified.",
        bool(fleet.served_problem),
    )
    yield gauge("retriever_failed_versions", "Versions that couldn't be loaded.", len(fleet.failed))
    yield gauge(
        "retriever_reload_retrying",
        "1 while the service retries to load the label's version after a failure outside the version.",
        any(own.version == fleet.target and own.passing for own in fleet.failed),
    )
    if not fleet.version:
        return
    info: dict[tuple[str, ...], float] = {(fleet.label, fleet.version): 1}
    yield gauge(
        "retriever_version_info",
        "The served version, as a label. The value is 1.",
        info,
        labels=["label", "version"],
    )
    # The name may contain a date that doesn't exist.
    with contextlib.suppress(ValueError):
        yield gauge(
            "retriever_version_created_timestamp_seconds",
            "When the served version was created, in seconds since the epoch.",
            layout.version_time(fleet.version).timestamp(),
        )
    if (share := counters.recall(of_slots, fleet.version)) is not None:
        yield gauge(
            "retriever_online_recall",
            "Recall of the index's answers for the served version: the share of the items of exact "
            "search that they had.",
            share,
        )
