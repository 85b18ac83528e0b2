import logging
import queue
from types import SimpleNamespace

import pytest

from lightfm_retriever.publication.volume import Volume
from tests import publications, specs
from trainer.runs.store import Outcome, RunStore
from trainer.runs.tracker import RunTracker
from trainer.tracking.options import TrackingOptions
from trainer.tracking.sending import Delivery

pytestmark = pytest.mark.usefixtures("no_waiting_for_the_disk")

PATIENCE = 30
SERVER = TrackingOptions(uri="http://u:geheim@127.0.0.1:5000")


@pytest.fixture
def service(tmp_path):
    """A store of runs, and a tracker that looks often."""
    store = RunStore(tmp_path / "state")
    sent = queue.SimpleQueue()
    volume = Volume(tmp_path / "volume")
    volume.folder.mkdir()
    found = SimpleNamespace(store=store, volume=volume, sent=sent, problem="", allowed=[])

    def send(run, options, *, seconds):
        found.allowed.append(seconds)
        sent.put(run)
        if found.problem == "surprise":
            raise RuntimeError("surprise")
        return Delivery("", found.problem)

    def track(**own):
        found.tracker = RunTracker(
            store, volume, SERVER, **{"every_seconds": 0.01, "send": send, **own}
        )
        found.tracker.start()
        return found.tracker

    def end(name, state="SUCCEEDED", **outcome):
        store.add(name, specs.spec(), request_id="", now=1.0)
        if state != "QUEUED":
            store.start_next(now=2.0)
        if state not in ("QUEUED", "RUNNING"):
            store.end(name, state, Outcome(**outcome), now=4.5)

    found.track, found.end = track, end
    yield found
    if hasattr(found, "tracker"):
        found.tracker.stop()
    store.close()


def next_of(service):
    return service.sent.get(timeout=PATIENCE)


def test_each_run_is_sent_once_when_it_ends(service):
    version = publications.publish(service.volume.folder)
    service.end("before")
    service.track()
    service.end("good", version=version, label_moved=True, seconds={"fit": 0.5})
    run = next_of(service)
    assert run.name == version
    assert (run.status, run.started_ms, run.ended_ms) == ("FINISHED", 2000, 4500)
    assert run.tags["training_run"] == "good"
    assert (run.tags["label_moved"], run.tags["command"]) == ("true", "serve")
    assert "manifest.json" in run.texts
    service.end("bad", "FAILED", error="diverged", metrics={"test_auc": 0.5})
    run = next_of(service)
    assert (run.name, run.status, run.tags["error"]) == ("bad", "FAILED", "diverged")
    service.end("unwanted", "CANCELLED", error="cancelled")
    assert next_of(service).status == "KILLED"
    service.tracker.stop()
    assert service.sent.empty()


def test_runs_in_between_hold_no_other_run_back_and_are_not_sent_twice(service):
    service.end("long", "RUNNING")
    service.end("done")
    service.track()
    service.end("short")
    assert next_of(service).name == "short"
    service.store.end("long", "FAILED", Outcome(error="late"), now=5.0)
    assert next_of(service).name == "long"
    service.tracker.stop()
    assert service.sent.empty()


def test_a_run_that_was_cancelled_in_the_queue_or_interrupted_is_sent(service):
    service.end("interrupted", "RUNNING")
    service.track()
    service.store.recover(now=6.0)
    run = next_of(service)
    assert (run.name, run.status) == ("interrupted", "FAILED")
    service.end("queued", "QUEUED")
    service.store.cancel_queued("queued", now=7.0)
    run = next_of(service)
    assert (run.name, run.status, run.started_ms) == ("queued", "KILLED", 1000)


def test_a_stop_sends_what_ended_last_within_some_seconds(service):
    service.track(every_seconds=3600)
    service.end("last")
    service.tracker.stop()
    assert next_of(service).name == "last"
    assert max(service.allowed) <= 5


@pytest.mark.parametrize("problem", ["it can't be reached: Connection refused", "surprise"])
def test_a_server_that_is_away_is_a_warning_and_the_next_run_is_sent(service, caplog, problem):
    caplog.set_level(logging.INFO)
    service.problem = problem
    service.track()
    service.end("one", version="20261124T043500Z-3fa9c1")
    # Its version is deleted already.
    assert next_of(service).name == "one"
    service.problem = ""
    service.end("two")
    assert next_of(service).name == "two"
    service.tracker.stop()
    [warning] = [own.getMessage() for own in caplog.records if own.levelname == "WARNING"]
    assert warning.startswith("training run one isn't in MLflow at http://***@127.0.0.1:5000: ")
    assert problem in warning
    assert "geheim" not in caplog.text


def test_a_store_that_cannot_be_read_is_told_once_and_tried_again(service, caplog, monkeypatch):
    service.track()
    asked, ask = queue.SimpleQueue(), service.store.ended_from

    def fail(*arguments, **own):
        asked.put(arguments)
        raise OSError("gone")

    monkeypatch.setattr(service.store, "ended_from", fail)
    for _ in range(3):
        asked.get(timeout=PATIENCE)
    monkeypatch.setattr(service.store, "ended_from", ask)
    service.end("one")
    assert next_of(service).name == "one"
    warnings = [own for own in caplog.records if "aren't sent" in own.getMessage()]
    assert len(warnings) == 1
