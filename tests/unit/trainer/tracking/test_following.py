from itertools import count
from types import SimpleNamespace

import pytest

from lightfm_retriever.publication.volume import Volume
from tests import publications, specs
from trainer.promotion.checks import Checked
from trainer.tracking.following import Following
from trainer.tracking.options import TrackingOptions
from trainer.tracking.sending import Delivery

SERVER = TrackingOptions(uri="http://u:geheim@127.0.0.1:5000")
PAGE = "http://127.0.0.1:5000/#/experiments/1/runs/2"


@pytest.fixture
def followed():
    """Follow a run; has what is sent and what is told."""

    def begin(options=SERVER, *, problem=""):
        def send(run, asked):
            assert asked is options
            found.sent.append(run)
            return Delivery(PAGE if not problem else "", problem)

        found.run = Following(
            options, "train", specs.spec(), tell=found.told.extend, send=send, clock=clock
        )
        return found.run

    found, clock = SimpleNamespace(begin=begin, sent=[], told=[]), count(10).__next__
    return found


@pytest.fixture
def checked(tmp_path):
    manifest = Volume(tmp_path).read_manifest(publications.publish(tmp_path))
    return Checked(manifest=manifest, seconds={"fit": 1.0}, warnings=[], gates=[], label="current")


def test_a_run_that_publishes_is_sent_once(followed, checked):
    with followed.begin() as run:
        run.published(checked, label="current", volume="/v")
    [sent] = followed.sent
    assert (sent.status, sent.started_ms, sent.ended_ms) == ("FINISHED", 10_000, 11_000)
    assert sent.tags["label_moved"] == "true"
    assert followed.told == [f"note: run {checked.manifest.version} is in MLflow: {PAGE}"]


def test_an_error_is_sent_and_passes_on(followed):
    with pytest.raises(RuntimeError), followed.begin():
        raise RuntimeError("no such file: postgresql://u:geheim@h/d")
    [sent] = followed.sent
    assert sent.status == "FAILED"
    assert sent.tags["error"] == "no such file: postgresql://***@h/d"


def test_ctrl_c_is_sent_as_killed(followed):
    with pytest.raises(KeyboardInterrupt), followed.begin():
        raise KeyboardInterrupt
    [sent] = followed.sent
    assert (sent.status, sent.tags["error"]) == ("KILLED", "interrupted")


def test_a_run_whose_sending_is_interrupted_is_not_sent_again(followed, checked):
    tries = []

    def send(run, _):
        tries.append(run.status)
        raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        Following(SERVER, "train", specs.spec(), tell=print, send=send) as run,
    ):
        run.published(checked, label="current", volume="/v")
    assert tries == ["FINISHED"]


def test_a_server_that_is_away_is_a_warning_without_a_password(followed, checked):
    with followed.begin(problem="it can't be reached: Connection refused") as run:
        run.published(checked, label=None, volume="/v")
    [told] = followed.told
    assert told == (
        f"run {checked.manifest.version} isn't in MLflow at http://***@127.0.0.1:5000: it can't be "
        "reached: Connection refused; the run itself isn't affected"
    )


def test_without_a_server_nothing_is_sent(followed, checked):
    with followed.begin(TrackingOptions()) as run:
        run.published(checked, label=None, volume="/v")
        run.searched({}, [])
    with pytest.raises(RuntimeError), followed.begin(TrackingOptions()):
        raise RuntimeError
    assert followed.sent == followed.told == []


def test_a_search_is_sent_with_its_trials(followed, tmp_path):
    trials = [{"number": 0, "parameters": {"loss": "bpr"}, "value": 0.5}]
    with followed.begin() as run:
        run.searched({"dataset": "a.csv", "trials": trials}, [tmp_path / "study.json"])
    [sent] = followed.sent
    assert sent.texts["trials.csv"] == "number,parameters.loss,value\n0,bpr,0.5\n"
    assert sent.files == [str(tmp_path / "study.json")]
