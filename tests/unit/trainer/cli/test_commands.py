"""Commands as they are called, in this process: what is read for them, and what is wrong with it."""

import json
import re
from pathlib import Path
from unittest import mock

import pytest

from trainer.__main__ import main
from trainer.cli import arguments, spec_arguments
from trainer.service import server

TRAIN = "train --volume v --interactions /none.csv"
PUBLISH = "publish --volume v --item-vectors /none.npy --item-ids /none.txt"
MOVIES = "train --volume v --dataset movielens-100k"
SERVE = "serve --volume v"


@pytest.fixture
def fails(capsys, tmp_path, monkeypatch):
    """Run a command that fails, beside nothing; returns its message."""
    monkeypatch.chdir(tmp_path)

    def fails(command, status):
        assert main(command.split()) == status
        name = command.split()[0]
        hint = f"See 'lightfm-trainer {name} --help'.\n" if status == 2 else ""
        [said] = re.fullmatch(f"error: (.*)\n{hint}", "".join(capsys.readouterr())).groups()
        return said

    return fails


def test_a_store_that_cannot_be_reached_is_named(fails, tmp_path, monkeypatch):
    # Nobody listens there.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    for name in ("AWS_ALLOW_HTTP", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "true")
    said = fails("versions --volume s3://bucket/prefix", 1)
    assert said.startswith("s3://bucket/prefix/labels: ")
    # Looking makes nothing.
    assert not [*tmp_path.iterdir()]


def test_nothing_to_act_upon_is_an_error(fails, tmp_path):
    for command in (
        *("versions", "verify", "verify canary", "report", "report canary"),
        *("version current", "diff current canary", "promote canary"),
    ):
        assert "v: the volume doesn't exist" in fails(f"{command} --volume v", 1)
    (tmp_path / "v").mkdir()
    for command in ("verify current", "report", "version current"):
        assert "label 'current': nothing is published under it" in fails(f"{command} --volume v", 1)
    version = "20261124T043500Z-3fa9c1"
    for command in ("promote", "verify"):
        said = fails(f"{command} {version} --volume v", 1)
        assert f"version {version!r} isn't on the volume" in said
    said = fails("rollback --label canary --volume v", 1)
    assert "label 'canary' has never named a version" in said


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (f"{MOVIES} --data-dir /none", "dataset 'movielens-100k' isn't in /none/movielens-100k: fetch"),
        (TRAIN, "/none.csv: No such file or directory"),
        (f"{TRAIN} --item-features a,b", "--item-features is 'a,b', but should be used with --items"),
        (f"{TRAIN} --cache-dir x", "--cache-dir is 'x', but should be used with a --volume that is a"),
        (f"{TRAIN} --cache-gb nan", "--cache-gb is nan, but should be in 0..1000000"),
        (f"{PUBLISH} --seed {2**31}", f"--seed is {2**31}, but should be in 0..2^31-1"),
        (f"{PUBLISH} --max-shrinkage 2", "--max-shrinkage is 2.0, but should be in 0..1"),
        *((f"{own} --trees 3 --backend exact", "--trees is 3, but should") for own in (TRAIN, PUBLISH)),
        (f"{PUBLISH} --backend hnswlib", "--backend is 'hnswlib', but should be among auto, annoy"),
        (f"{PUBLISH} --target-recall nan", "--target-recall is nan, but should be above 0 and at"),
        ("runs --cert c.pem", "--cert is given without --key"),
        ("train --target 127.0.0.1:1", "--dataset is missing, but should be given"),
        (f"{SERVE} --listen x", "--listen is 'x', but should be HOST:PORT with a port in 0..65535"),
        (f"{SERVE} --retrain-every 1h", "--retrain-every is set, but should be used with --dataset"),
        (f"{SERVE} --tls-key k.pem", "--tls-key is given without --tls-cert"),
        (f"{SERVE} --parallel-runs 0", "--parallel-runs is 0, but should be in"),
    ],
)
def test_what_cannot_be_done_is_named_before_anything_is_made(fails, tmp_path, command, message):
    # A file that isn't there is no mistake in the flags.
    assert fails(command, 1 if "/none" in message else 2).startswith(message)
    assert not [*tmp_path.iterdir()]


@pytest.fixture
def served(monkeypatch, tmp_path):
    """Run `serve` up to where it listens; returns its settings."""
    monkeypatch.chdir(tmp_path)
    serve = mock.Mock(return_value=7)
    monkeypatch.setattr(server, "serve", serve)
    return lambda command: main(command.split()) == 7 and serve.call_args.args[0]


@pytest.mark.parametrize("command", [SERVE, f"{SERVE} --keep-all", TRAIN.replace("/none.csv", "a.csv")])
@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("EPOCHS", "0", "is 0, but should be in 1..10000"),
        ("EPOCHS", "many", "is 'many', but should be a whole number"),
        (
            "LOSS",
            "wrap",
            "is 'wrap', but should be one of warp, bpr, logistic, warp-kos; did you mean warp?",
        ),
        (
            "BACKEND",
            "anoy",
            "is 'anoy', but should be among auto, annoy, exact, faiss, nmslib; did you",
        ),
        ("TARGET_RECALL", "2", "is 2.0, but should be above 0 and at most 1"),
        ("SPLIT_SHARE", "1", "is 1.0, but should be above 0 and below 1"),
        ("MIN_AUC", "-1", "is -1.0, but should be"),
        ("CACHE_GB", "-1", "is -1.0, but should be in 0..1000000"),
        ("ALS_ALPHA", "2", "is 2.0, but should be used with --engine spark-als"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_its_own_name_whether_or_not_it_is_used(
    fails, tmp_path, monkeypatch, command, name, value, expected
):
    (tmp_path / "a.csv").write_text("user_id,item_id\n1,2\n")
    monkeypatch.setenv(f"TRAINER_{name}", value)
    assert fails(command, 2).startswith(f"TRAINER_{name} {expected}")
    monkeypatch.delenv(f"TRAINER_{name}")
    (tmp_path / "own.toml").write_text(f"{name.lower()} = '{value}'\n")
    said = fails(f"{command} --config own.toml", 2)
    assert said.startswith(f"own.toml: {name.lower()} ")
    assert expected in said
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "own.toml"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DATA_ROOT", "/none", "is '/none', but should be a folder that is there"),
        ("KEEP", "0", "is 0, but should be at least 1"),
        ("MIN_AGE", "soon", "is 'soon', but should be"),
        ("LISTEN", "x", "is 'x', but should be HOST:PORT"),
        ("PARALLEL_RUNS", "0", "is 0, but should be in 1..64"),
        ("TLS_KEY", "k.pem", "is given without --tls-cert"),
        ("RETRAIN_EVERY", "soon", "is 'soon', but should be"),
    ],
)
def test_a_setting_of_the_service_is_refused_by_its_own_name(fails, monkeypatch, name, value, expected):
    more = " --event-log" if name == "RETRAIN_EVERY" else ""
    monkeypatch.setenv(f"TRAINER_{name}", value)
    # What --keep-all makes useless is checked, too.
    for command in (SERVE, f"{SERVE} --keep-all"):
        assert fails(command + more, 2).startswith(f"TRAINER_{name} {expected}")


def test_variables_and_a_file_count_for_local_training_as_for_the_service(
    monkeypatch, tmp_path, served
):
    (tmp_path / "own.toml").write_text("epochs = 3\ncomponents = 8\nparallel_runs = 2\ncanary = true\n")
    monkeypatch.setenv("TRAINER_COMPONENTS", "16")
    monkeypatch.setenv("TRAINER_LISTEN", "127.0.0.1:1")
    monkeypatch.chdir(tmp_path)
    for command in ("train --volume v", "serve --volume v --retrain-every 1h"):
        line = f"{command} --interactions a.csv --config own.toml --seed 5"
        spec = spec_arguments.training_spec(arguments.parse(line.split()))
        own = spec.hyperparameters
        assert (own.epochs, own.components, own.seed, spec.label) == (3, 16, 5, "canary")
        line += " --epochs 4 --label b"
        spec = spec_arguments.training_spec(arguments.parse(line.split()))
        assert (spec.hyperparameters.epochs, spec.label) == (4, "b")
    made = arguments.parse(
        ["publish", "--volume=v", "--item-vectors=a", "--item-ids=b", "--config=own.toml"]
    )
    assert spec_arguments.label_of(made) == "canary"


def test_a_search_has_ranges_where_a_run_has_a_number(monkeypatch):
    monkeypatch.setenv("TRAINER_COMPONENTS", "16")
    monkeypatch.setenv("TRAINER_DATA_DIR", "/data")
    options = arguments.parse(["tune", "--interactions", "a.csv"])
    assert (options.components, options.data_dir) == ([8, 128], Path("/data"))


def test_serve_makes_the_folder_of_a_new_volume(served, capsys, tmp_path):
    options = served("serve --volume new/volume")
    assert options.volume.list_versions() == []
    assert (tmp_path / "new/volume").is_dir()
    (tmp_path / "file").touch()
    capsys.readouterr()
    assert main(["serve", "--volume", "file/volume"]) == 1
    assert capsys.readouterr().err == "error: file/volume: the folder can't be made: Not a directory\n"


def test_errors_are_json_where_results_are(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for command, status, said in (
        ("versions --volume v --json", 1, "v: the volume doesn't exist"),
        ("versions --json", 2, "give --volume, or --target for a service"),
        ("versions --jsn --json", 2, "there is no option --jsn; did you mean --json?"),
        (f"{TRAIN} --epochs 0 --json", 2, "--epochs is 0, but should be in 1..10000"),
    ):
        assert main(command.split()) == status
        output, errors = capsys.readouterr()
        content = json.loads(errors)["error"]
        assert (output, content["status"]) == ("", status)
        assert content["message"].startswith(said)


@pytest.mark.parametrize(
    "command", [TRAIN, PUBLISH, "tune --interactions /none.csv", f"{SERVE} --listen 127.0.0.1:0"]
)
def test_a_wrong_server_of_mlflow_is_an_error_without_its_password(fails, monkeypatch, command):
    expected = "should be the address of an MLflow server, such as http://127.0.0.1:5000"
    assert fails(f"{command} --mlflow-uri mlruns", 2) == f"--mlflow-uri is 'mlruns', but {expected}"
    monkeypatch.setenv("TRAINER_MLFLOW_URI", "ftp://u:geheim@host")
    assert fails(command, 2) == f"TRAINER_MLFLOW_URI is '***@host', but {expected}"


def test_a_caller_of_a_service_chooses_no_server_of_mlflow(capsys):
    command = ["train", "--target", "127.0.0.1:1", "--dataset", "movielens-100k"]
    assert main([*command, "--mlflow-uri", "http://h"]) == 2
    assert "--mlflow-uri is for --volume, so it has no effect with --target" in capsys.readouterr().err
