"""What Prometheus reads."""

from __future__ import annotations

import msgspec
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as of_openmetrics
from prometheus_client.parser import text_string_to_metric_families as of_text

from retriever import control
from retriever.answering.queries import RankedRows
from retriever.parent import probes
from retriever.parent.metrics import RetrieverMetrics

VERSION = "20261124T043500Z-3fa9c1"
FLEET = control.ServiceState(
    label="current",
    version=VERSION,
    workers=[
        control.WorkerFacts(
            0, 71, "running", VERSION, 1.0, 2.0, 3, control.Load(5, 1, 2, 4096, 90, 128, 60)
        ),
        control.WorkerFacts(1, 72, "booted", "", 1.0, 0.0, 0),
    ],
    failed=[control.FailedVersion("20261124T043501Z-3fa9c1", "broken", 1.0)],
)


def answer(source="personalized", *, exact=False, short=None):
    return RankedRows([], [], source, exact, 100, 0, short)


def samples(metrics, write=generate_latest, parse=of_text):
    """By name and labels, as one who scrapes reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(metrics)
    families = parse(write(registry).decode())
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


@pytest.fixture
def metrics():
    made = RetrieverMetrics(2, lambda: FLEET)
    first, second = made.slots
    first.serve(VERSION)
    first.ended("Recommend", "OK", 0.0004)
    second.ended("Recommend", "OK", 0.002)
    second.ended("Recommend", "NOT_FOUND", 30.0)
    second.ended("SimilarItems", "RESOURCE_EXHAUSTED", None)
    first.answered("Recommend", [answer()])
    second.answered("Recommend", [answer(short="filter"), answer("popular", exact=True)])
    first.sampled(VERSION, found=19, expected=20)
    second.skipped()
    made.reloads.ended(control.ReloadFacts(VERSION, True, "", 0.3, 1.0))
    made.reloads.ended(control.ReloadFacts(VERSION, False, "broken", 0.01, 1.0))
    return made


@pytest.mark.parametrize(
    ("write", "parse"),
    [(generate_latest, of_text), (openmetrics.generate_latest, of_openmetrics)],
    ids=["text", "OpenMetrics"],
)
def test_the_workers_counts_are_summed_up_and_named(metrics, write, parse):
    read = samples(metrics, write, parse)
    memory = read.pop(("retriever_parent_memory_bytes",))
    assert memory > 1 << 20

    def of(name):
        # Only what occurred has buckets and counts.
        return {key[1:]: value for key, value in read.items() if key[0] == name}

    recommend, similar = ("method", "Recommend"), ("method", "SimilarItems")
    assert of("retriever_calls_total") == {
        (("code", "OK"), recommend): 2,
        (("code", "NOT_FOUND"), recommend): 1,
        (("code", "RESOURCE_EXHAUSTED"), similar): 1,
        **{
            (("code", "OK"), ("method", method)): 0
            for method in ("SimilarItems", "BatchSimilarItems", "BatchRecommend", "GetStatus")
        },
    }
    buckets = {
        labels[0][1]: count for labels, count in of("retriever_call_duration_seconds_bucket").items()
    }
    assert len(buckets) == 16
    assert (buckets["0.00025"], buckets["0.0005"], buckets["0.0025"]) == (0, 1, 2)
    assert (buckets["10.0"], buckets["+Inf"]) == (2, 3)
    assert of("retriever_call_duration_seconds_count") == {(recommend,): 3}
    assert of("retriever_call_duration_seconds_sum") == {(recommend,): pytest.approx(30.0024)}
    assert of("retriever_candidates_total") == {(recommend,): 300}
    assert of("retriever_answers_total") == {
        (recommend, ("search", "index"), ("source", "personalized")): 2,
        (recommend, ("search", "exact"), ("source", "popular")): 1,
    }
    assert of("retriever_short_answers_total") == {(recommend, ("reason", "filter")): 1}
    assert of("retriever_reloads_total") == {
        (("outcome", "succeeded"),): 1,
        (("outcome", "failed"),): 1,
    }
    assert of("retriever_reload_duration_seconds_sum") == {
        (("outcome", "succeeded"),): 0.3,
        (("outcome", "failed"),): 0.01,
    }
    assert of("retriever_reload_duration_seconds_bucket")[("le", "0.25"), ("outcome", "failed")] == 1
    assert of("retriever_online_recall") == {(): 0.95}
    assert of("retriever_online_recall_samples_total") == {(): 1}
    assert of("retriever_online_recall_skipped_total") == {(): 1}
    assert of("retriever_workers") == {
        (("state", "starting"),): 1,
        (("state", "running"),): 1,
        (("state", "down"),): 0,
    }
    assert of("retriever_calls_in_flight") == {(("worker", "0"),): 2, (("worker", "1"),): 0}
    assert of("retriever_worker_restarts_total") == {(("worker", "0"),): 3, (("worker", "1"),): 0}
    assert of("retriever_worker_memory_bytes") == {(("worker", "0"),): 4096, (("worker", "1"),): 0}
    assert of("retriever_version_info") == {(("label", "current"), ("version", VERSION)): 1}
    # 2026-11-24T04:35:00Z
    assert of("retriever_version_created_timestamp_seconds") == {(): 1795494900}
    assert of("retriever_label_problem") == {(): 0}
    assert of("retriever_failed_versions") == {(): 1}


@pytest.mark.parametrize(
    "fleet",
    [
        None,
        control.ServiceState(
            label="current", label_problem="no such label", served_problem="a changed"
        ),
    ],
    ids=["none", "empty"],
)
def test_before_anything_is_served_nothing_is_said_of_it(fleet):
    read = samples(RetrieverMetrics(1, lambda: fleet))
    names = {name for name, *_ in read}
    assert not names & {
        "retriever_version_info",
        "retriever_version_created_timestamp_seconds",
        "retriever_online_recall",
    }
    assert read["retriever_calls_total", ("code", "OK"), ("method", "Recommend")] == 0
    assert read["retriever_reloads_total", ("outcome", "failed")] == 0
    for name in ("retriever_label_problem", "retriever_served_problem"):
        assert read.get((name,)) == (None if fleet is None else 1)


def test_a_version_of_a_day_that_there_is_not_spoils_nothing_else():
    version = "20269924T043500Z-3fa9c1"
    read = samples(RetrieverMetrics(1, lambda: control.ServiceState(label="current", version=version)))
    assert read["retriever_version_info", ("label", "current"), ("version", version)] == 1
    assert ("retriever_version_created_timestamp_seconds",) not in read


def not_ready(fleet, *, stopping=None):
    return probes.not_ready(fleet, stopping=stopping, now=100.0)


def test_it_is_ready_while_a_worker_serves_a_version_and_no_longer_than_it_serves():
    assert not_ready(FLEET) is None
    assert "SIGTERM" in not_ready(FLEET, stopping="SIGTERM")
    assert "the service starts" in not_ready(None)
    loading = control.ServiceState(
        label="current", target="v", loading=control.Loading("v", "VERIFYING", 95)
    )
    assert "version v is being loaded, 5 s so far" in not_ready(loading)
    empty = control.ServiceState(label="current", label_problem="no such label", workers=FLEET.workers)
    assert "no such label" in not_ready(empty)
    failed = control.ServiceState(label="current", target=FLEET.failed[0].version, failed=FLEET.failed)
    assert "broken" in not_ready(failed)
    gone = control.ServiceState(label="current", version=VERSION, workers=FLEET.workers[1:])
    assert not_ready(gone) == "no worker takes calls"


def test_it_is_live_unless_the_parent_is_stuck():
    assert probes.not_live(silent_seconds=3.0, stopping=None) is None
    assert "stuck for 12 s" in probes.not_live(silent_seconds=12.0, stopping=None)
    assert probes.not_live(silent_seconds=12.0, stopping="SIGTERM") is None


@pytest.mark.parametrize("target", [VERSION, "20261124T043501Z-3fa9c1", ""])
@pytest.mark.parametrize("passing", [True, False])
def test_what_the_label_names_is_told_to_be_tried_again_while_it_is(target, passing):
    failed = control.FailedVersion("20261124T043501Z-3fa9c1", "no memory", 1.0, passing)
    fleet = msgspec.structs.replace(FLEET, target=target, failed=[failed])
    read = samples(RetrieverMetrics(2, lambda: fleet))
    assert read[("retriever_reload_retrying",)] == (passing and target == failed.version)


def test_file_descriptors_and_connections_are_told_of_each_process(metrics):
    read = samples(metrics)
    assert [
        read[f"retriever_worker_{name}", ("worker", "0")]
        for name in ("open_fds", "max_fds", "connections")
    ] == [90, 128, 60]
    assert 3 <= read[("retriever_parent_open_fds",)] <= read[("retriever_parent_max_fds",)]
