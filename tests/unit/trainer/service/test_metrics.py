import contextlib
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from lightfm_retriever.publication import labels, layout, reader
from lightfm_retriever.publication.volume import Volume
from tests import publications, specs
from trainer.event_log.errors import EventLogError
from trainer.event_log.event import Stats
from trainer.runs.store import Outcome, RunStore
from trainer.service import metrics
from trainer.service.metrics import ServiceCollector

NOON = publications.NOON.timestamp()

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")


@pytest.fixture
def store(tmp_path):
    with closing(RunStore(tmp_path / "state")) as opened:
        yield opened


@pytest.fixture
def volume(tmp_path):
    volume = tmp_path / "volume"
    volume.mkdir()
    return volume


def collect(store, volume, stats=lambda: Stats(events=7, bytes=700)):
    return ServiceCollector(store, Volume(volume), stats, clock=lambda: NOON + 90)


@pytest.fixture
def collector(store, volume):
    return collect(store, volume)


@pytest.fixture
def versions(volume):
    return publications.daily(volume, 2, first=publications.NOON - timedelta(days=1))


def scrape(collector):
    return {
        " ".join([sample.name, *sample.labels.values()]): sample.value
        for family in collector.collect()
        for sample in family.samples
    }


def run(store, run_id, state="SUCCEEDED", *, started=100.0, ended=107.0, **seconds):
    store.add(run_id, specs.spec(), request_id="", now=0.0)
    store.start_next(now=started)
    store.end(run_id, state, Outcome(seconds=seconds), now=ended)


def test_before_anything_has_happened(collector, monkeypatch):
    found = scrape(collector)
    # A counter that appears with its first event can't be seen to rise.
    zeros = [f"runs_total {outcome}" for outcome in ("succeeded", "failed", "cancelled")]
    zeros += ["pending_runs QUEUED", "pending_runs RUNNING", "run_duration_seconds_count", "versions"]
    zeros += ["volume_problem", "state_problem"]
    assert found.items() >= {f"trainer_{name}": 0 for name in zeros}.items()
    assert found["trainer_volume_size_bytes"] >= found["trainer_volume_free_bytes"] > 0
    assert (found["trainer_event_log_events"], found["trainer_event_log_bytes"]) == (7, 700)
    assert not [name for name in found if name.startswith(("trainer_version_", "trainer_last_"))]
    # A store has no bounds.
    monkeypatch.setattr(Volume, "room", lambda _: None)
    without = scrape(collector)
    assert without["trainer_volume_problem"] == 0
    assert found.keys() - without.keys() == {"trainer_volume_size_bytes", "trainer_volume_free_bytes"}


def test_runs_are_counted_and_timed(store, collector):
    run(store, "a", ended=100.5, fit=0.25, index=0.125)
    run(store, "b", ended=142.0, fit=40.0)
    # How long one took that failed says nothing.
    run(store, "c", "FAILED", ended=9999.0, fit=9899.0)
    # The clock was set back.
    run(store, "d", ended=3.0)
    for run_id in "efgh":
        store.add(run_id, specs.spec(), request_id="", now=0.0)
    store.cancel_queued("e", now=400.0)
    store.start_next(now=500.0)
    durations, stages = "trainer_run_duration_seconds", "trainer_run_stage_duration_seconds"
    expected = {
        "trainer_pending_runs RUNNING": 1,
        "trainer_pending_runs QUEUED": 2,
        "trainer_last_run_timestamp_seconds succeeded": 142,
        "trainer_last_run_timestamp_seconds failed": 9999,
        "trainer_last_run_timestamp_seconds cancelled": 400,
        **{f"{durations}_bucket {most}": n for most, n in ((0.1, 1), (0.5, 2), (30.0, 2), (60.0, 3))},
        f"{durations}_count": 3,
        f"{durations}_sum": 42.5,
        f"{stages}_count fit": 2,
        f"{stages}_sum fit": 40.25,
        f"{stages}_sum index": 0.125,
    }
    assert scrape(collector).items() >= expected.items()


def test_the_next_service_goes_on_counting(store, volume, monkeypatch):
    for number in range(5):
        run(store, f"run-{number}", ended=101.0 + number)
    monkeypatch.setattr(metrics, "_REMEMBERED_RUNS", 3)
    found = scrape(collect(store, volume))
    assert found["trainer_runs_total succeeded"] == 5
    # Of the others the durations aren't read again.
    assert found["trainer_run_duration_seconds_count"] == 3
    assert found["trainer_run_duration_seconds_sum"] == 3 + 4 + 5


ACTION = st.sampled_from(["start", "start", "start", "SUCCEEDED", "SUCCEEDED", "FAILED", "CANCELLED"])


@settings(max_examples=15)
@given(actions=st.lists(st.tuples(ACTION, st.integers(0, 9), st.booleans()), max_size=30))
@example([*[("start", 0, False)] * 2, ("SUCCEEDED", 1, True)] * 2)
def test_every_run_is_counted_once_in_whatever_order_they_end(tmp_path_factory, actions):
    directory = tmp_path_factory.mktemp("store")
    expected = {"SUCCEEDED": 0, "FAILED": 0, "CANCELLED": 0}
    running = []
    with closing(RunStore(directory)) as store:
        collector = collect(store, directory)
        for number, (action, choice, look) in enumerate([*actions, ("look", 0, True)]):
            if action == "start":
                store.add(str(number), specs.spec(), request_id="", now=0.0)
                running.append(store.start_next(now=1.0).id)
            elif action in expected and running:
                ended = running.pop(choice % len(running))
                store.end(ended, action, Outcome(seconds={"fit": 1.0}), now=2.0)
                expected[action] += 1
            if look:
                found = scrape(collector)
                totals = {f"trainer_runs_total {state.lower()}": own for state, own in expected.items()}
                for name in ("duration_seconds_sum", "duration_seconds_count"):
                    totals[f"trainer_run_{name}"] = expected["SUCCEEDED"]
                assert found.items() >= totals.items()
                stages = found.get("trainer_run_stage_duration_seconds_count fit", 0)
                assert stages == expected["SUCCEEDED"]


def test_a_version_that_a_label_names_is_described(volume, versions, collector):
    labels.promote(volume, versions[0])
    labels.promote(volume, versions[1], label="canary")
    found = scrape(collector)
    expected = {
        "trainer_versions": 2,
        f"trainer_version_info current {versions[0]}": 1,
        f"trainer_version_info canary {versions[1]}": 1,
        "trainer_version_metric current precision_at_10": 0.258,
        "trainer_version_index_recall current similar": 1,
        "trainer_version_index_recall canary recommend": 1,
        "trainer_version_created_timestamp_seconds current": NOON - 86_400,
        "trainer_version_age_seconds current": 86_400 + 90,
        "trainer_version_age_seconds canary": 90,
    }
    assert found.items() >= expected.items()
    # A label that names what is gone is a problem.
    shutil.rmtree(layout.version_dir(volume, versions[1]))
    found = scrape(collector)
    names = ("volume_problem", "versions", f"version_info current {versions[0]}")
    assert [found[f"trainer_{name}"] for name in names] == [1, 1, 1]
    assert not [name for name in found if "canary" in name]


def test_a_manifest_is_read_when_a_label_moves_and_only_then(volume, versions, collector, monkeypatch):
    read = mock.Mock(wraps=reader.read_manifest)
    monkeypatch.setattr(reader, "read_manifest", read)
    labels.promote(volume, versions[0], label="stable")
    for number, version in enumerate(versions, 1):
        labels.promote(volume, version)
        for _ in range(3):
            found = scrape(collector)
        assert [call.args[1] for call in read.call_args_list] == versions[:number]
        infos = [name for name in found if name.startswith("trainer_version_info current")]
        assert infos == [f"trainer_version_info current {version}"]


def test_a_volume_that_is_gone_takes_its_series_with_it(volume, versions, collector, caplog):
    labels.promote(volume, versions[0])
    before = scrape(collector)
    away = volume.rename(volume.with_name("away"))
    for _ in range(2):
        found = scrape(collector)
    assert found["trainer_volume_problem"] == 1
    left = ("trainer_version", "trainer_volume_free", "trainer_volume_size")
    assert not [name for name in found if name.startswith(left)]
    assert found["trainer_runs_total succeeded"] == 0
    # Once, not at each scrape.
    assert len(caplog.records) == 1
    assert str(volume) in caplog.text
    away.rename(volume)
    assert scrape(collector).keys() == before.keys()


def test_a_volume_that_does_not_answer_holds_up_one_scrape_only(collector, monkeypatch):
    hanging, answered = threading.Event(), threading.Event()

    def hang(path):
        hanging.set()
        answered.wait()
        raise FileNotFoundError(path)

    monkeypatch.setattr(metrics, "_PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(os, "statvfs", hang)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(scrape, collector)
        hanging.wait()
        try:
            found = scrape(collector)
        finally:
            answered.set()
    assert found["trainer_volume_problem"] == 1
    assert found["trainer_runs_total succeeded"] == 0


def test_a_store_or_an_event_log_that_cannot_be_read_takes_its_series_with_it(
    store, volume, collector, versions
):
    def fail():
        raise EventLogError(volume, "can't be read: no such luck")

    found = scrape(collect(store, volume, fail))
    assert found["trainer_state_problem"] == 1
    assert found["trainer_runs_total failed"] == 0
    assert "trainer_event_log_events" not in found
    store.close()
    found = scrape(collector)
    assert found["trainer_state_problem"] == 1
    assert found["trainer_versions"] == 2
    assert not [name for name in found if name.startswith(("trainer_run", "trainer_event"))]


def test_both_formats_of_prometheus_can_be_read(store, volume, versions, collector):
    labels.promote(volume, versions[0])
    run(store, "a", fit=2.0)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    plain = [*text_string_to_metric_families(choose_encoder("text/plain")[0](registry).decode())]
    # This one refuses two families of one name.
    strict = [*openmetrics.text_string_to_metric_families(generate_latest(registry).decode())]
    assert len(plain) == len(strict) > 15
    assert all(family.documentation for family in strict)


def test_scrapes_at_the_same_time_count_nothing_twice(store, collector, monkeypatch):
    run(store, "a")
    both = threading.Barrier(2)

    def meeting(number, *, size, before=store.ended_from):
        found = before(number, size=size)
        # Where only one gets at a time, nobody comes.
        with contextlib.suppress(threading.BrokenBarrierError):
            both.wait(timeout=0.2)
        return found

    monkeypatch.setattr(store, "ended_from", meeting)
    with ThreadPoolExecutor(2) as pool:
        pool.map(scrape, [collector] * 2)
    assert scrape(collector)["trainer_run_duration_seconds_count"] == 1
