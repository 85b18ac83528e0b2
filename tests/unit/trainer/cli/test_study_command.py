"""`python -m trainer tune` as it is called, in this process."""

import json
import os
import re
from dataclasses import asdict, replace

import pytest

from tests import datasets
from trainer import pipeline
from trainer.__main__ import main
from trainer.cli import arguments, spec_arguments, study_command
from trainer.event_log.log import Event, EventLog
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.study.options import StudyOptions
from trainer.study.study import StudyResult
from trainer.study.trials import Trial

TRIALS = ["--trials", "3", "--max-epochs", "4", "--epoch-step", "2"]
PARAMETERS = {"loss": "bpr", "components": 8, "learning_rate": 0.0123456}
PARAMETERS |= {"item_alpha": 1e-7, "user_alpha": 0.5}


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    """What isn't named is beside the test's own files; a picture takes a second to draw."""
    monkeypatch.setattr("trainer.study.picture.draw", lambda _: b"a picture")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def interactions(tmp_path):
    return ["--interactions", str(datasets.write_rows(tmp_path / "interactions.csv"))]


@pytest.fixture
def fails(capsys, tmp_path):
    """Run a search that fails; returns its message."""

    def fails(*arguments, status=2):
        assert main(["tune", *TRIALS, *map(str, arguments)]) == status
        hint = "See 'lightfm-trainer tune --help'.\n" if status == 2 else ""
        [said] = re.fullmatch(f"error: (.*)\n{hint}", "".join(capsys.readouterr())).groups()
        assert not (tmp_path / "study").exists()
        return said

    return fails


def test_ten_trials_are_printed_and_the_best_as_flags_of_train(interactions, monkeypatch, capsys):
    tried = {"parameters": PARAMETERS, "epochs": 4, "trained_epochs": 6, "seconds": 1.25}
    trials = [
        Trial(number=number, state="complete", value=number / 100 if number else None, **tried)
        for number in range(12)
    ]
    start = Hyperparameters(**PARAMETERS, epochs=4)
    found = StudyResult(
        dataset="a.csv",
        split="time",
        validation="random",
        fit_interactions=2000,
        validation_interactions=200,
        test_interactions=300,
        options=StudyOptions(),
        trials=trials,
        best=11,
        hyperparameters=start,
        test={"test_auc_unseen": 0.75, "test_ndcg_at_10_unseen": 0.25, "evaluated_users": 9.0},
        errors={"test_auc_unseen": 0.1},
        seconds=1.0,
        warnings=["something looks wrong"],
    )
    monkeypatch.setattr(study_command, "run_study", lambda *_, **__: found)
    assert main(["tune", *interactions]) == 0
    printed = capsys.readouterr()
    assert printed.err == "warning: something looks wrong\n"
    lines = [" ".join(line.split()) for line in printed.out.splitlines()]
    assert lines[:3] == [
        "a.csv: 2,000 interactions to fit, 200 to validate (random), 300 to test (time)",
        f"trial validation ndcg_at_10 epochs s {' '.join(PARAMETERS)} state",
        "11 0.1100 4 1.2 bpr 8 0.01235 1e-07 0.5 complete",
    ]
    assert [line.split()[0] for line in lines[2:12]] == [str(number) for number in range(11, 1, -1)]
    best, flags = lines[13].split(" with ")
    assert (lines[12], best) == ("the best 10 of 12 trials", "best: validation ndcg_at_10 0.1100")
    wrote = "wrote study/study.json, study/study.png"
    assert lines[14:] == [
        "on the test, once, 9 users:",
        "seen items excluded value 95 % confidence",
        "ndcg_at_10 0.2500 0.000-1.000",
        "auc 0.7500 0.484-0.906",
        wrote,
    ]
    parsed = arguments.parse(["train", "--volume", "v", *interactions, *flags.split()])
    trained = spec_arguments.training_spec(parsed).hyperparameters
    assert trained.of_lightfm() == replace(start, learning_rate=0.01235)
    monkeypatch.setattr(study_command, "run_study", lambda *_, **__: replace(found, test=None))
    assert main(["tune", *interactions]) == 0
    assert "on the test" not in capsys.readouterr().out


def test_what_cannot_be_searched_is_a_clear_error(fails, interactions):
    other = "--loss is 'warp-kos', but should be another one with --sample-weights"
    assert fails(*interactions, "--sample-weights").startswith(other)
    assert fails(*interactions, "--trials", "0").startswith("--trials is 0, but should be in")
    # What is wrong with a file is no mistake in the flags.
    said = fails(*interactions, "--split", "time", status=1)
    assert said == "interactions.csv: there is no column timestamp, which --split time needs"


def test_a_log_is_searched_on_and_json_is_the_study_alone(capsys, fails, tmp_path, monkeypatch):
    missing = "volume.trainer/events: there is no event log here"
    assert fails("--event-log", status=1) == f"{tmp_path}/{missing}"
    # It was only looked for.
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(os, "fsync", lambda _: None)
    events = [
        Event(str(at), *row[:2], "view", row[2], at) for at, row in enumerate(datasets.rows(), 10**9)
    ]
    with EventLog(tmp_path / "state" / pipeline.EVENTS) as log:
        log.append(events)
    flags = (
        "--event-log --state state --output new/it --json --split time --split-count 2 --seed 5"
        " --split-share 0.25 --trials 3 --timeout-seconds 60.5 --max-epochs 4 --epoch-step 2"
        " --patience 7 --objective recall_at_20 --threads 1 --validation leave-last-k --components 2 8"
        " --losses bpr logistic"
        " --learning-rate 0.1 0.2 --item-alpha 0.001 0.002 --user-alpha 0.003 0.004 --sample-weights"
    )
    assert main(["tune", *flags.split()]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert (found, printed.err) == (json.loads((tmp_path / "new/it/study.json").read_text("utf-8")), "")
    assert not (tmp_path / "study").exists()
    alphas = {"item_alpha": [0.001, 0.002], "user_alpha": [0.003, 0.004]}
    own = {"components": [2, 8], "learning_rate": [0.1, 0.2], "losses": ["bpr", "logistic"]}
    counts = {"trials": 3, "max_epochs": 4, "epoch_step": 2, "patience": 7}
    assert found["options"] == {
        "space": own | alphas,
        "start": asdict(Hyperparameters(seed=5, threads=1, sample_weights=True)),
        "timeout_seconds": 60.5,
        "objective": "recall_at_20",
        "validation": "leave-last-k",
        **counts,
    }
    assert len(found["trials"]) == 3
    assert (found["dataset"], found["split"], found["validation"]) == ("events", "time", "leave-last-k")
    assert found["test_interactions"] == round(0.25 * len(datasets.rows()))


def test_an_output_that_cannot_be_written_is_known_at_once(fails, interactions, tmp_path, monkeypatch):
    monkeypatch.setattr(study_command, "run_study", lambda *_, **__: pytest.fail("it searched"))
    (tmp_path / "file").write_text("")
    for output in ("file", "file/deeper"):
        assert fails(*interactions, "--output", output).startswith("--output is 'file")
    assert "; /proc: " in fails(*interactions, "--output", "/proc/x")
