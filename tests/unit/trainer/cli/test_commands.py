"""Commands as they are called, in this process: what is read for them, and what is wrong with it."""

import re

import pytest

from trainer.__main__ import main

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
    for command in ("versions", "verify"):
        assert "v: the volume doesn't exist" in fails(f"{command} --volume v", 1)
    (tmp_path / "v").mkdir()
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
