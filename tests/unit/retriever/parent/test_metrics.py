"""What Prometheus reads."""

import itertools

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as of_openmetrics
from prometheus_client.parser import text_string_to_metric_families as of_text

from retriever import control
from retriever.answering.queries import RankedRows
from retriever.parent.metrics import RetrieverMetrics

VERSION = "20261124T043500Z-3fa9c1"
LOAD = control.Load(5, 1, 2, 4096, 90, 128, 60)
FLEET = control.ServiceState(
    label="current",
    version=VERSION,
    workers=[
        control.WorkerFacts(0, 71, "running", VERSION, 1, 2, 3, LOAD),
        control.WorkerFacts(1, 72, "booted", "", 1.0, 0.0, 0),
        control.WorkerFacts(2, 73, "starting", "", 1.0, 0.0, 0),
        control.WorkerFacts(3, 0, "down", "", 0.0, 0.0, 1),
    ],
    failed=[control.FailedVersion("20261124T043501Z-3fa9c1", "broken", 1.0)],
)


def samples(metrics, write=generate_latest, parse=of_text):
    """By name and labels, as one who scrapes reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    told = [sample for family in parse(write(registry).decode()) for sample in family.samples]
    return {(sample.name, *sorted(sample.labels.items())): sample.value for sample in told}


@pytest.mark.parametrize(
    ("write", "parse"),
    [(generate_latest, of_text), (openmetrics.generate_latest, of_openmetrics)],
    ids=["text", "OpenMetrics"],
)
def test_the_workers_counts_are_summed_up_and_named(write, parse):
    made = RetrieverMetrics(2, lambda: FLEET)
    first, second = made.slots
    first.serve(VERSION)
    first.ended("Recommend", "OK", 0.0004)
    for code, seconds in (("OK", 0.002), ("NOT_FOUND", 30.0)):
        second.ended("Recommend", code, seconds)
    second.ended("SimilarItems", "RESOURCE_EXHAUSTED", None)
    rows = ("personalized", False, None), ("personalized", False, "filter"), ("popular", True, None)
    own, *others = (RankedRows([], [], row[0], row[1], 100, 0, row[2]) for row in rows)
    first.answered("Recommend", [own])
    second.answered("Recommend", others)
    first.sampled(VERSION, found=19, expected=20)
    second.skipped()
    made.reloaded(control.ReloadFacts(VERSION, True, "", 0.3, 1.0))
    made.reloaded(control.ReloadFacts(VERSION, False, "broken", 0.01, 1.0))
    read = samples(made, write, parse)
    assert read["retriever_parent_memory_bytes",] > 1 << 20

    def of(name):
        # Only what occurred has buckets and counts.
        return {key[1:]: value for key, value in read.items() if key[0] == name}

    recommend, similar = ("method", "Recommend"), ("method", "SimilarItems")
    others = ("SimilarItems", "BatchSimilarItems", "BatchRecommend", "GetStatus")
    assert of("retriever_calls_total") == {
        (("code", "OK"), recommend): 2,
        (("code", "NOT_FOUND"), recommend): 1,
        (("code", "RESOURCE_EXHAUSTED"), similar): 1,
        **{(("code", "OK"), ("method", method)): 0 for method in others},
    }
    found = of("retriever_call_duration_seconds_bucket").items()
    buckets = {labels[0][1]: count for labels, count in found}
    assert len(buckets) == 16
    ends = ("0.00025", "0.0005", "0.0025", "10.0", "+Inf")
    assert [buckets[end] for end in ends] == [0, 1, 2, 2, 3]
    assert of("retriever_call_duration_seconds_count") == {(recommend,): 3}
    assert of("retriever_call_duration_seconds_sum") == {(recommend,): pytest.approx(30.0024)}
    assert of("retriever_candidates_total") == {(recommend,): 300}
    assert of("retriever_answers_total") == {
        (recommend, ("search", "index"), ("source", "personalized")): 2,
        (recommend, ("search", "exact"), ("source", "popular")): 1,
    }
    assert of("retriever_short_answers_total") == {(recommend, ("reason", "filter")): 1}
    succeeded, failed = (("outcome", "succeeded"),), (("outcome", "failed"),)
    assert of("retriever_reloads_total") == {succeeded: 1, failed: 1}
    assert of("retriever_reload_duration_seconds_sum") == {succeeded: 0.3, failed: 0.01}
    buckets = of("retriever_reload_duration_seconds_bucket")
    assert (buckets[("le", "0.25"), *succeeded], buckets[("le", "0.25"), *failed]) == (0, 1)
    states = {"starting": 2, "running": 1, "down": 1}
    assert of("retriever_workers") == {(("state", state),): n for state, n in states.items()}
    for name, values in (
        *(("calls_in_flight", [2, 0, 0, 0]), ("worker_restarts_total", [3, 0, 0, 1])),
        *(("worker_memory_bytes", [4096, 0, 0, 0]), ("worker_open_fds", [90, 0, 0, 0])),
        *(("worker_max_fds", [128, 0, 0, 0]), ("worker_connections", [60, 0, 0, 0])),
    ):
        by_number = {(("worker", str(number)),): value for number, value in enumerate(values)}
        assert of(f"retriever_{name}") == by_number
    assert 3 <= read["retriever_parent_open_fds",] <= read["retriever_parent_max_fds",]
    assert of("retriever_version_info") == {(("label", "current"), ("version", VERSION)): 1}
    for name, value in (
        *(("online_recall", 0.95), ("online_recall_samples_total", 1), ("failed_versions", 1)),
        # 2026-11-24T04:35:00Z
        ("version_created_timestamp_seconds", 1795494900),
        *(("online_recall_skipped_total", 1), ("label_problem", 0)),
    ):
        assert of(f"retriever_{name}") == {(): value}


@pytest.mark.parametrize("fleet", [None, {"label_problem": "no label", "served_problem": "a changed"}])
def test_before_anything_is_served_nothing_is_said_of_it(fleet):
    told = fleet and control.ServiceState(label="current", **fleet)
    read = samples(RetrieverMetrics(1, lambda: told))
    of_a_version = ("version_info", "version_created_timestamp_seconds", "online_recall")
    assert not {name for name, *_ in read} & {f"retriever_{name}" for name in of_a_version}
    assert read["retriever_calls_total", ("code", "OK"), ("method", "Recommend")] == 0
    assert read["retriever_reloads_total", ("outcome", "failed")] == 0
    for name in ("retriever_label_problem", "retriever_served_problem"):
        assert read.get((name,)) == (None if fleet is None else 1)
    # A version of a day that there isn't spoils nothing else.
    version = "20269924T043500Z-3fa9c1"
    read = samples(RetrieverMetrics(1, lambda: control.ServiceState(label="current", version=version)))
    assert read["retriever_version_info", ("label", "current"), ("version", version)] == 1
    assert ("retriever_version_created_timestamp_seconds",) not in read


def test_what_failed_is_told_of_after_its_reload_is_counted_and_that_it_is_tried_again():
    for passing, target in itertools.product([True, False], [VERSION, "20261124T043501Z-3fa9c1", ""]):
        failed = control.FailedVersion("20261124T043501Z-3fa9c1", "no memory", 1.0, passing)
        fleet = msgspec.structs.replace(FLEET, target=target, failed=[failed])
        read = samples(RetrieverMetrics(2, lambda fleet=fleet: fleet))
        assert read[("retriever_reload_retrying",)] == (passing and target == failed.version)
    told, read = [control.ServiceState(label="current")], {}
    for family in RetrieverMetrics(1, lambda: told[0]).collect():
        read |= {sample.name: sample.value for sample in family.samples}
        if family.name == "retriever_reloads":
            # One ends just then.
            told[0] = FLEET
    assert read["retriever_failed_versions"] == 0
