"""Commands as they are called, in this process: what is read for them, and what is wrong with it."""

from __future__ import annotations

import pytest

from trainer.__main__ import main


@pytest.fixture
def volume(tmp_path):
    return tmp_path / "volume"


@pytest.fixture
def fails(capsys, volume):
    """Run a command that fails; returns its message."""

    def fails(command, *arguments, status=1):
        assert main([command, *map(str, arguments), "--volume", str(volume)]) == status
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.startswith("error: ")
        assert output.err.count("\n") == 1
        return output.err.removeprefix("error: ").rstrip("\n")

    return fails


def test_a_store_that_cannot_be_reached_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    # Nobody listens there.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    assert main(["versions", "--volume", "s3://bucket/prefix"]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: s3://bucket/prefix/labels: ")
    assert output.err.count("\n") == 1
    # Looking makes nothing.
    assert not [*tmp_path.iterdir()]


def test_nothing_to_act_upon_is_an_error(fails, volume):
    for command in ("versions", "verify", "serve"):
        assert f"{volume}: the volume doesn't exist" in fails(command)
    volume.mkdir()
    version = "20261124T043500Z-3fa9c1"
    for command in ("promote", "verify"):
        assert f"version {version!r} isn't on the volume" in fails(command, version)
    assert "label 'canary' has never named a version" in fails("rollback", "--label", "canary")


FILE = "--interactions /none.csv"
VECTORS = "--item-vectors /none.npy --item-ids /none.txt"
MOVIES = "--dataset movielens-100k"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (f"{MOVIES} --data-dir /none", "dataset 'movielens-100k' isn't in /none/movielens-100k"),
        (FILE, "/none.csv: No such file or directory"),
        (f"{FILE} --epochs 0", "--epochs is 0, but should be in 1..10000"),
        (f"{FILE} --item-features a,b", "--item-features is 'a,b', but should be used with --items"),
        (f"{FILE} --backend annoy,,exact", "--backend is '', but should be among auto, annoy"),
        (
            f"{FILE} --cache-dir x",
            "--cache-dir is 'x', but should be used with a --volume that is a URL",
        ),
        *((f"{FILE} --cache-gb {size}", "in 0..1000000") for size in ("-1", "nan", "1e7")),
        (f"{VECTORS} --seed {2**31}", f"--seed is {2**31}, but should be in 0..2^31-1"),
        (f"{VECTORS} --max-shrinkage 2", "--max-shrinkage is 2.0, but should be in 0..1"),
        *(
            (f"{own} --trees 3 --backend exact", "--trees is 3, but should be")
            for own in (FILE, VECTORS)
        ),
        (f"{VECTORS} --backend hnswlib", "--backend is 'hnswlib', but should be among auto, annoy"),
        (f"{VECTORS} --target-recall nan", "--target-recall is nan, but should be above 0 and at"),
        (f"{VECTORS} --index-threads 0", "--index-threads is 0, but should be in 1..1024"),
    ],
)
def test_options_that_do_not_fit_are_named(fails, volume, flags, message):
    command = "publish" if VECTORS in flags else "train"
    # A file that isn't there is no mistake in the flags.
    status = 1 if "/none" in message else 2
    assert message in fails(command, *flags.split(), status=status)
    assert not volume.exists()


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("runs --cert c.pem", "--cert is given without --key"),
        ("train --target 127.0.0.1:1", "--dataset is missing, but should be given"),
        *(
            (f"serve --volume v {given}", said)
            for given, said in (
                ("--listen x", "--listen is 'x', but should be HOST:PORT with a port in 0..65535"),
                ("--retrain-every 1h", "--retrain-every is set, but should be used with --dataset"),
                ("--retrain-on-change", "--retrain-on-change is set, but should be used with"),
                ("--tls-key k.pem", "--tls-key is given without --tls-cert"),
                ("--parallel-runs 0", "--parallel-runs is 0, but should be in"),
            )
        ),
    ],
)
def test_flags_that_do_not_go_together_are_mistakes_in_the_command_line(
    capsys, monkeypatch, tmp_path, command, said
):
    monkeypatch.chdir(tmp_path)
    assert main(command.split()) == 2
    assert not [*tmp_path.iterdir()]
    assert capsys.readouterr().err.startswith(f"error: {said}")
