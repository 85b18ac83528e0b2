"""Runs each load shortly on a real retriever. A missed threshold must fail the run."""

import json
import os
import signal
import threading
import time

import pytest

from lightfm_retriever.publication.labels import read_label
from lightfm_retriever.publication.reader import list_versions
from tests.datasets import GENRES, ITEMS, rows, write_csv, write_rows
from tests.load import k6
from tests.service import Service
from trainer.__main__ import main as trainer

# What any run here must end within: what waits for a server that never comes would take longer.
SOON = 20


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    """Two versions with all that may be asked: sessions, filters, batches."""
    directory = tmp_path_factory.mktemp("load")
    interactions = write_rows(directory / "interactions.csv", rows())
    genres = {
        "item_id": [f"i{item}" for item in range(ITEMS)],
        "genres": [GENRES[item % 3] for item in range(ITEMS)],
    }
    items = write_csv(directory / "items.csv", genres)
    flags = "--item-attributes genres --allow-unevaluated --split none --epochs 2 --components 4"
    where = ["--interactions", interactions, "--items", items, "--volume", directory / "volume"]
    for seed in ("1", "2"):
        assert trainer(["train", *flags.split(), *map(str, where), "--seed", seed]) == 0
    return directory / "volume"


@pytest.fixture(scope="module")
def service(volume, tmp_path_factory):
    log = tmp_path_factory.mktemp("service") / "log"
    with Service(volume, log, workers=2, poll_seconds=0.2, drain_seconds=0) as service:
        service.wait_until_all_serve(read_label(volume, "current"))
        yield service


@pytest.fixture
def of_its_own(volume, tmp_path):
    """A service that may be spoiled."""
    with Service(volume, tmp_path / "log", workers=1, drain_seconds=0) as service:
        service.wait_until_all_serve(read_label(volume, "current"))
        yield service


@pytest.fixture
def run(volume, capsys):
    """Runs a load. Returns the exit status, the results, and the text on standard error."""

    def run(scenario, target, flags=""):
        where = ["--target", target] if target else []
        status = k6.main([scenario, *where, "--volume", str(volume), *flags.split(), "--json"])
        out, err = capsys.readouterr()
        return status, json.loads(out or "null"), err

    return run


def calls(results):
    return {row["calls"]: row["count"] for row in results["rows"]}


def test_smoke_asks_every_kind_of_call(service, run):
    status, results, err = run("smoke", service.target)
    assert status == 0, err
    assert results["passed"]
    assert calls(results) == {
        "Recommend": 10,
        "Recommend, session": 10,
        "Recommend, filter": 10,
        "SimilarItems": 10,
        "BatchRecommend, 16 each": 10,
        "BatchSimilarItems, 16 each": 10,
        "GetStatus": 10,
        "Recommend, unknown user": 10,
        "all": 80,
    }
    assert all(row["failed"] == row["refused"] == 0 for row in results["rows"])


def test_steady_makes_the_calls_that_it_should_through_a_retriever_of_its_own(run):
    load = "--duration 2s --rate 50 --connections 50 --max-p99-ms 4000"
    status, results, err = run("steady", None, load)
    assert status == 0, err
    assert 95 <= calls(results)["all"] <= 105
    assert sum(worker["calls"] for worker in results["workers"]) >= 95


def test_a_threshold_that_is_missed_fails_the_run_and_is_named(service, run):
    load = "--duration 1s --rate 20 --connections 2 --max-p99-ms 0.001"
    status, results, err = run("steady", service.target, load)
    assert status == 1
    assert not results["passed"]
    assert len(results["missed"]) == 1
    assert "steady missed: grpc_req_duration: should be p(99)<0.001, but was " in err


def test_a_spike_may_be_refused_but_not_fail(volume, tmp_path, run):
    flags = {"workers": 1, "threads": 1, "max_calls": 1, "drain_seconds": 0}
    with Service(volume, tmp_path / "log", **flags) as service:
        service.wait_until_all_serve(read_label(volume, "current"))
        load = "--duration 4s --rate 40 --connections 40 --max-p99-ms 4000"
        status, results, err = run("spike", service.target, load)
    everything = results["rows"][-1]
    assert everything["refused"] > 0
    assert everything["failed"] == 0
    # With one call at a time even the calm parts may be refused some: nothing else may be missed.
    assert all(line.startswith("refused_calls{scenario:") for line in results["missed"]), err
    assert status == (1 if results["missed"] else 0)
    assert {row["calls"] for row in results["rows"]} >= {
        "all, before the spike",
        "all, after the spike",
    }


def test_publishing_and_rolling_back_fails_no_call(service, volume, run):
    current = read_label(volume, "current")
    load = "--duration 5s --rate 40 --connections 40 --max-p99-ms 4000"
    status, results, err = run("publish_and_roll_back", service.target, load)
    assert status == 0, err
    assert len(results["switch_seconds"]) >= 2
    assert results["rows"][-1]["failed"] == 0
    assert read_label(volume, "current") == current
    assert len(list_versions(volume)) == 2


@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGSTOP])
def test_a_server_that_ends_mid_run_ends_the_run(of_its_own, run, sign):
    pids = [of_its_own.pid, *of_its_own.worker_pids()]

    def end():
        of_its_own.wait_until(lambda status: sum(worker.calls for worker in status.workers) > 30)
        for pid in pids:
            os.kill(pid, sign)

    thread = threading.Thread(target=end)
    thread.start()
    began = time.monotonic()
    try:
        load = "--duration 10m --rate 30 --connections 8 --timeout 1s"
        status, results, err = run("steady", of_its_own.target, load)
    finally:
        thread.join()
    assert status == 1
    assert time.monotonic() - began < 2 * SOON
    assert not results["passed"]
    assert results["rows"][-1]["failed"] > 0
    last = err.strip().splitlines()[-1]
    assert last.startswith(f"error: steady: test aborted: {of_its_own.target} stopped answering: ")
