"""The benchmark of training measures what it says, and a run keeps no rows while it fits."""

from __future__ import annotations

import gc
import json
import sys
import weakref
from dataclasses import asdict, replace

import numpy as np
import pytest

from tests.benchmarks import synthetic, training
from tests.benchmarks.synthetic import InteractionsSpec
from tests.benchmarks.training import Measured, ProcessError, Stages, Subject
from trainer import reading
from trainer import training as trained
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.progress import Silent

SPEC = InteractionsSpec(users=150, items=150, interactions=3000, clusters=5)
QUICK = Hyperparameters(components=4, epochs=2, seed=1)


@pytest.fixture
def call(capsys, monkeypatch):
    """Run it; returns its exit status and what it printed."""

    def call(*flags):
        monkeypatch.setattr(sys, "argv", ["training", *map(str, flags)])
        status = training.main()
        return status, capsys.readouterr()

    return call


@pytest.fixture
def data(tmp_path):
    (folder := tmp_path / "data").mkdir()
    synthetic.write_interactions(SPEC, folder, Silent())
    return folder


def stages(seconds, peak, *, cpu_seconds=1.0):
    return Stages({"fit": seconds}, {"fit": cpu_seconds}, {"dataset": peak + 5, "fit": peak})


def measured(bare, trainer):
    subject = Subject(rows=20, file_bytes=9, users=2, items=3, pairs=10)
    return Measured(subject, Stages({"read": 1.0}, {"read": 1.0}, {"read": 7}), bare, trainer)


def test_all_processes_are_measured(call, data):
    flags = ("--components", 4, "--epochs", 2, "--rounds", 1, "--json")
    status, printed = call("--data", data, *flags)
    assert (status, printed.err) == (0, "")
    made = json.loads(printed.out)
    assert {name: made["subject"][name] for name in ("rows", "users", "items")} == {
        "rows": 3000,
        "users": 150,
        "items": 150,
    }
    assert 1000 < made["subject"]["pairs"] < 3000
    assert [*made["reading"]["seconds"]] == ["read", "dataset"]
    assert [[*one["seconds"]] for one in made["bare"]] == [["fit"]]
    assert [[*one["seconds"]] for one in made["trainer"]] == [["read", "dataset", "fit"]]
    for process in (made["reading"], *made["bare"], *made["trainer"]):
        assert all(peak > 20_000_000 for peak in process["peak_bytes"].values())
    trainer, bare = (made[side][0]["seconds"]["fit"] for side in ("trainer", "bare"))
    assert made["ratios"]["fit, time"]["median"] == pytest.approx(trainer / bare)


def test_both_fits_do_the_same_work(data, tmp_path, monkeypatch):
    """The bare fit ends in the very numbers that the trainer's does."""
    matrix = tmp_path / "matrix.npz"
    training.read(str(data), str(matrix))
    models = []
    for_real = trained.train
    kept = lambda *given, **options: models.append(for_real(*given, **options)) or models[-1]  # noqa: E731
    monkeypatch.setattr(trained, "train", kept)
    asked = json.dumps(asdict(QUICK))
    training.train(str(data), str(tmp_path / "volume"), asked)
    shown = training._BARE + "\nprint(json.dumps({'biases': model.item_biases.tolist()}))"
    said = training._run("the bare fit", shown, str(matrix), asked)
    assert np.array_equal(models[0].item_biases, np.array(said["biases"], dtype=np.float32))
    assert len(np.unique(models[0].item_biases)) > 100


def test_a_run_ends_where_the_fit_is_over(data, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trained, "evaluate", None)
    training.train(str(data), str(tmp_path / "volume"), json.dumps(asdict(QUICK)))
    assert [*json.loads(capsys.readouterr().out)["seconds"]] == ["read", "dataset", "fit"]


def test_the_rows_are_gone_when_a_run_fits(data, tmp_path, monkeypatch):
    rows = []
    for_real = reading.weigh

    def watched(*given, **options):
        weighed = for_real(*given, **options)
        rows.append(weakref.ref(weighed.users))
        return weighed

    def fit(*given, **options):
        gc.collect()
        rows.append(rows[0]())
        return pipeline_train(*given, **options)

    pipeline_train = trained.train
    monkeypatch.setattr(reading, "weigh", watched)
    monkeypatch.setattr(trained, "train", fit)
    training.train(str(data), str(tmp_path / "volume"), json.dumps(asdict(QUICK)))
    assert rows[1:] == [None]


def test_ratios_are_of_rounds_and_know_their_targets():
    bare = [stages(1.0, 100), stages(2.0, 100), stages(1.0, 100)]
    trainer = [stages(1.2, 120), stages(2.2, 130, cpu_seconds=1.3), stages(1.05, 140, cpu_seconds=0.9)]
    ratios = measured(bare, trainer).ratios()
    time, target = ratios["fit, time"]
    assert (time.median, time.lowest, time.highest) == pytest.approx((1.1, 1.05, 1.2))
    assert target == 1.1
    assert ratios["fit, CPU time"][0].median == 1.0
    assert ratios["fit, memory"][0].median == 1.3
    whole, target = ratios["from the files to the fitted model, memory"]
    assert (whole.median, target) == (pytest.approx(135 / 105), 1.5)


def test_the_table_says_which_targets_are_kept(capsys):
    bare, trainer = [stages(4.0, 100_000_000)], [stages(5.0, 120_000_000)]
    training._print(measured(bare, trainer), replace(QUICK, epochs=4), as_json=False)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    # An epoch takes a second, in which 10 pairs are seen.
    assert "bare fit fit, an epoch 1.00 0.25 10 100" in lines
    assert "trainer fit, an epoch 1.25 0.25 8 120" in lines
    assert "fit, time 1.250 (1.25..1.25) at most 1.1 missed" in lines
    assert "fit, memory 1.200 (1.20..1.20) at most 1.5 kept" in lines


def test_a_peak_begins_anew_with_each_stage():
    measured = Stages()
    with measured.stage("large"):
        held = np.ones(50_000_000, dtype=np.uint8)
        del held
    with measured.stage("small"):
        pass
    assert measured.peak_bytes["large"] > measured.peak_bytes["small"] + 40_000_000
    assert measured.peak == measured.peak_bytes["large"]


def test_a_process_that_fails_says_why():
    with pytest.raises(ProcessError, match=r"^the reader failed: ValueError: no rows$"):
        training._run("the reader", "raise ValueError('no rows')")
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(ProcessError, match=r"^the trainer was ended by SIGKILL \(is there enough memo"):
        training._run("the trainer", killed)


def test_too_little_memory_is_known_before_the_start(call, monkeypatch):
    monkeypatch.setattr(training, "available_memory", lambda: 2_000_000_000)
    status, printed = call("--interactions", 20_000_000)
    assert (status, printed.out) == (1, "")
    assert printed.err.startswith("error: this may need 3.1 GB of memory, but there are 2.0: ")
    assert printed.err.count("\n") == 1


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--rounds", 0), "--rounds is 0, but should be at least 1"),
        (("--epochs", 0), "--epochs is 0, but should be in 1..10000"),
        (("--interactions", 0), "--interactions is 0, but should be in 1..10000000000"),
        (("--data", "/nowhere"), "/nowhere: No such file or directory"),
    ],
)
def test_a_bad_flag_is_one_line_and_exit_status_1(flags, message, call):
    status, printed = call(*flags)
    assert (status, printed.out, printed.err) == (1, "", f"error: {message}\n")
