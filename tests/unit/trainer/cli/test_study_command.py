"""`python -m trainer tune` as it is called, in this process."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests import datasets
from trainer import pipeline
from trainer.__main__ import main
from trainer.cli import arguments, spec_arguments, study_command
from trainer.event_log.log import Event, EventLog
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.study.options import SearchSpace, StudyOptions
from trainer.study.study import run_study

TRIALS = ["--trials", "3", "--max-epochs", "4", "--epoch-step", "2"]
SPACE = ["--components", "2", "8", "--losses", "warp", "bpr"]
PARAMETERS = ["loss", "components", "learning_rate", "item_alpha", "user_alpha"]
COLUMNS = ["trial", "validation p@10", "epochs", "s", *PARAMETERS, "state"]
PICTURE = b"a picture"


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    """What isn't named is beside the test's own files; a picture takes a second to draw."""
    monkeypatch.setattr("trainer.study.picture.draw", lambda _: PICTURE)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def interactions(tmp_path):
    return ["--interactions", str(datasets.write_rows(tmp_path / "interactions.csv"))]


@pytest.fixture
def call(capsys):
    """Run a search; returns what it printed and what it told of on the way."""

    def call(*arguments):
        assert main(["tune", *TRIALS, *SPACE, *map(str, arguments)]) == 0
        return capsys.readouterr()

    return call


@pytest.fixture
def fails(capsys, tmp_path):
    """Run a search that fails; returns its message."""

    def fails(*arguments, status=2):
        assert main(["tune", *TRIALS, *map(str, arguments)]) == status
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.startswith("error: ")
        assert output.err.count("\n") == 1
        assert not (tmp_path / "study").exists()
        return output.err.removeprefix("error: ").rstrip("\n")

    return fails


def study(directory):
    return json.loads((directory / "study.json").read_text("utf-8"))


def flags_of(content):
    """Hyperparameters as flags of `train`, as far as the search found them."""
    return {name: content["hyperparameters"][name] for name in (*PARAMETERS, "epochs")}


def test_the_trials_are_printed_best_first_and_the_best_as_flags_of_train(call, interactions, tmp_path):
    output = call(*interactions, "--seed", 1)
    lines = output.out.splitlines()
    content = study(tmp_path / "study")
    assert lines[0] == (
        f"interactions.csv: {content['fit_interactions']} interactions to fit, "
        f"{content['validation_interactions']} to validate (random), "
        f"{content['test_interactions']} to test (random)"
    )
    assert re.split(r" {2,}", lines[1].strip()) == COLUMNS
    rows = [dict(zip(COLUMNS, line.split(), strict=True)) for line in lines[2:5]]
    ranked = sorted(content["trials"], key=lambda trial: -trial["value"])
    for row, trial in zip(rows, ranked, strict=True):
        assert (row["trial"], row["epochs"]) == (str(trial["number"]), str(trial["epochs"]))
        assert row["validation p@10"] == f"{trial['value']:.4f}"
        assert row["state"] == trial["state"]
        assert row["loss"] == trial["parameters"]["loss"]
        for name in PARAMETERS[1:]:
            assert float(row[name]) == pytest.approx(trial["parameters"][name], rel=1e-3), name
    told = re.fullmatch(r"best: validation precision@10 (\S+) with (.*)", lines[5])
    assert told[1] == f"{ranked[0]['value']:.4f}"
    words = told[2].split()
    assert words[::2] == [f"--{name.replace('_', '-')}" for name in flags_of(content)]
    assert words[1::2] == [
        f"{value:.4g}" if isinstance(value, float) else str(value)
        for value in flags_of(content).values()
    ]
    assert f"precision_at_10_unseen {content['test']['test_precision_at_10_unseen']:.4f}" in lines[6]
    assert lines[7:] == ["wrote study/study.json, study/study.png"]
    assert (tmp_path / "study" / "study.png").read_bytes() == PICTURE
    # Bars go elsewhere, so that the table can be kept.
    assert "Trials" in output.err
    trained = spec_arguments.training_spec(
        arguments.parse(["train", "--volume", "v", *interactions, *words])
    ).hyperparameters
    assert trained.loss == content["hyperparameters"]["loss"]
    for name in (*PARAMETERS[1:], "epochs"):
        assert getattr(trained, name) == pytest.approx(content["hyperparameters"][name], rel=1e-3)


def test_json_is_the_study_and_nothing_else_and_is_written_where_it_is_asked_for(
    call, interactions, tmp_path
):
    directory = tmp_path / "new" / "of today"
    output = call(*interactions, "--json", "--output", directory)
    content = json.loads(output.out)
    assert (content, output.err) == (study(directory), "")
    assert content["options"]["trials"] == len(content["trials"]) == 3
    assert {trial["parameters"]["loss"] for trial in content["trials"]} <= {"warp", "bpr"}
    assert not (tmp_path / "study").exists()


def test_every_flag_reaches_the_search(interactions, monkeypatch):
    asked = {}

    def watched(source, **options):
        asked.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr("trainer.cli.study_command.run_study", watched)
    words = (
        "--trials 7 --timeout-seconds 30.5 --max-epochs 9 --epoch-step 3 --patience 2 "
        "--validation leave-last-k --split time --split-count 4 --split-share 0.25 --seed 5 "
        "--threads 2 --components 3 5 --learning-rate 0.1 0.2 --item-alpha 0.001 0.002 "
        "--user-alpha 0.003 0.004 --losses bpr logistic --sample-weights"
    )
    assert main(["tune", *interactions, *words.split()]) == 130
    assert (asked["split"], asked["split_count"], asked["split_share"]) == ("time", 4, 0.25)
    assert asked["options"] == StudyOptions(
        space=SearchSpace(
            components=(3, 5),
            learning_rate=(0.1, 0.2),
            item_alpha=(0.001, 0.002),
            user_alpha=(0.003, 0.004),
            losses=["bpr", "logistic"],
        ),
        start=Hyperparameters(seed=5, threads=2, sample_weights=True),
        trials=7,
        timeout_seconds=30.5,
        max_epochs=9,
        epoch_step=3,
        patience=2,
        validation="leave-last-k",
    )


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--components 8 2", "--components is 8, 2, but should be a range above 0, its lower end"),
        ("--trials 100001", "--trials is 100001, but should be in 1..100000"),
        ("--sample-weights", "--loss is 'warp-kos', but should be another one with --sample-weights"),
        ("--seed -1", "--seed is -1, but should be in 0..2^31-1"),
        ("--split time", "interactions.csv: there is no column timestamp, which --split time needs"),
    ],
)
def test_what_cannot_be_searched_is_a_clear_error(fails, interactions, tmp_path, flags, message):
    # What is wrong with a file is no mistake in the flags.
    found = fails(*interactions, *flags.split(), status=2 if message.startswith("--") else 1)
    assert found.removeprefix(f"{tmp_path}/").startswith(message), found


def test_appended_interactions_are_searched_on(call, fails, tmp_path, monkeypatch):
    missing = "volume.trainer/events: there is no event log here"
    assert fails("--event-log", status=1) == f"{tmp_path}/{missing}"
    # It was only looked for.
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(os, "fsync", lambda _: None)
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = datasets.rows()
    with EventLog(tmp_path / "state" / pipeline.EVENTS, clock=lambda: start) as log:
        log.append(
            [
                Event(str(number), user, item, "view", weight, (start - timedelta(number)).timestamp())
                for number, (user, item, weight) in enumerate(rows)
            ]
        )
    found = json.loads(call("--event-log", "--state", "state", "--split", "time", "--json").out)
    assert (found["dataset"], found["split"], found["validation"]) == ("events", "time", "time")
    assert found["fit_interactions"] < len(rows)


def test_no_more_than_ten_trials_are_printed_and_no_failed_one(call, interactions, monkeypatch):
    def longer(*arguments, **options):
        found = run_study(*arguments, **options)
        found.trials.extend(
            replace(found.trials[0], number=number, **pruned_or_failed)
            for number in range(3, 30)
            for pruned_or_failed in (
                {"state": "failed", "value": None}
                if number % 2
                else {"state": "pruned", "value": number / 100},
            )
        )
        found.warnings.append("something looks wrong")
        return found

    monkeypatch.setattr("trainer.cli.study_command.run_study", longer)
    output = call(*interactions, "--split", "none")
    lines = output.out.splitlines()
    assert "0 to test (none)" in lines[0]
    assert "on the test" not in output.out
    assert lines[12] == "the best 10 of 30 trials"
    rows = [dict(zip(COLUMNS, line.split(), strict=True)) for line in lines[2:12]]
    values = [float(row["validation p@10"]) for row in rows]
    assert values == sorted(values, reverse=True)
    assert [row["trial"] for row in rows][:3] == ["28", "26", "24"]
    assert {row["state"] for row in rows} == {"pruned", "complete"}
    assert "warning: something looks wrong\n" in output.err


@pytest.mark.parametrize("below", ["", "/deeper"])
def test_an_output_that_cannot_be_written_is_refused_before_the_search(
    interactions, tmp_path, monkeypatch, capsys, below
):
    monkeypatch.setattr(study_command, "run_study", lambda *_, **__: pytest.fail("it searched"))
    (tmp_path / "file").write_text("")
    command = ["tune", "--interactions", str(interactions), "--output", f"{tmp_path / 'file'}{below}"]
    assert main(command) == 2
    assert "error: --output is" in capsys.readouterr().err
