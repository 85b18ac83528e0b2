"""Flags, variables and a file: which wins, and what is refused."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.hosting.settings import layers


def parser():
    made = argparse.ArgumentParser()
    layers.add_config_flag(made)
    made.add_argument("--volume", required=True)
    made.add_argument("--workers", type=int, default=2)
    made.add_argument("--share", type=float, default=0.5)
    made.add_argument("--format", choices=("console", "json"), default="console")
    made.add_argument("--names", type=lambda text: text.split(","), default=[])
    made.add_argument("--root", action="append", default=[])
    made.add_argument("--folder", type=Path, default=argparse.SUPPRESS)
    made.add_argument("--every", default=argparse.SUPPRESS)
    made.add_argument("--insecure", action="store_true", default=False)
    return made


def parse(*arguments, file=None, tmp_path=None, **environment):
    if file is not None:
        path = tmp_path / "layers.toml"
        path.write_text(file, "utf-8")
        arguments = (*arguments, "--config", str(path))
    made = parser()
    layers.apply(made, arguments, environment, prefix="SERVICE_", also=("OTHER",))
    found = vars(made.parse_args(arguments))
    found.pop("config", None)
    return found


def refused(*arguments, **options):
    with pytest.raises(HostingError) as caught:
        parse(*arguments, **options)
    return str(caught.value)


DEFAULTS = {
    "volume": "v",
    "workers": 2,
    "share": 0.5,
    "format": "console",
    "names": [],
    "root": [],
    "insecure": False,
}


def test_nothing_but_flags_leaves_the_defaults():
    # An empty variable counts as not set.
    assert parse("--volume", "v", SERVICE_WORKERS="", SERVICE_CONFIG="") == DEFAULTS


def test_a_variable_sets_what_its_flag_would():
    assert parse(
        SERVICE_VOLUME="v",
        SERVICE_WORKERS="3",
        SERVICE_SHARE="0.25",
        SERVICE_FORMAT="json",
        SERVICE_NAMES="a,b",
        SERVICE_ROOT="/x,/y",
        SERVICE_EVERY="1h",
        SERVICE_INSECURE="yes",
        OTHER_WORKERS="9",
    ) == {
        "volume": "v",
        "workers": 3,
        "share": 0.25,
        "format": "json",
        "names": ["a", "b"],
        "root": ["/x", "/y"],
        "every": "1h",
        "insecure": True,
    }


def test_a_file_sets_what_its_flags_would(tmp_path):
    file = """
    volume = "v"
    workers = 3
    share = 1
    names = ["a", "b"]
    root = ["/x", "/y"]
    insecure = true
    """
    assert parse(file=file, tmp_path=tmp_path) == {
        **DEFAULTS,
        "workers": 3,
        "share": 1.0,
        "names": ["a", "b"],
        "root": ["/x", "/y"],
        "insecure": True,
    }


def test_a_flag_wins_over_a_variable_and_that_over_the_file(tmp_path):
    file = 'volume = "file"\nworkers = 1\nshare = 0.1\nroot = ["file"]\n'
    found = parse(
        *("--workers", "3", "--root=flag"),
        file=file,
        tmp_path=tmp_path,
        SERVICE_WORKERS="2",
        SERVICE_SHARE="0.2",
        SERVICE_ROOT="variable",
    )
    assert (found["workers"], found["share"], found["volume"]) == (3, 0.2, "file")
    assert found["root"] == ["flag"]


def test_a_variable_may_name_the_file_and_set_off_a_switch(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text("workers = 7\ninsecure = true")
    found = parse("--volume", "v", SERVICE_CONFIG=str(path), SERVICE_INSECURE="off")
    assert (found["workers"], found["insecure"]) == (7, False)


def test_what_is_no_setting_names_where_it_is_and_the_nearest(tmp_path):
    error = refused("--volume", "v", file="worker = 3", tmp_path=tmp_path)
    assert error == f"{tmp_path}/layers.toml: the key 'worker' isn't a setting: did you mean workers?"
    # No file names another one.
    error = refused("--volume", "v", file='config = "other.toml"', tmp_path=tmp_path)
    assert "the key 'config' isn't a setting" in error
    error = refused("--volume", "v", SERVICE_WORKER="3")
    assert error == (
        "the environment variable SERVICE_WORKER isn't a setting: did you mean SERVICE_WORKERS?"
    )
    assert "--help lists what there is" in refused("--volume", "v", SERVICE_XYZ="3")


@pytest.mark.parametrize(
    "name",
    [
        "SERVICE_PORT",
        "SERVICE_SERVICE_PORT_GRPC",
        "SERVICE_PORT_50051_TCP_ADDR",
        "SERVICE_HEADLESS_SERVICE_HOST",
        "SERVICE_HEADLESS_PORT_50051_TCP_PROTO",
        "SERVICE_CLIENT_CA",
        "SERVICE_OTHER",
    ],
)
def test_what_kubernetes_and_clients_set_is_left_alone(name):
    assert parse("--volume", "v", **{name: "tcp://10.0.0.1:50051"}) == DEFAULTS


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        ("workers = ", "isn't TOML"),
        ("workers = true", "workers is true, but should be a text or a number"),
        ('workers = "many"', "workers is 'many', but should be a whole number"),
        ("workers = [1, 2]", "workers is '1,2', but should be a whole number"),
        ("[workers]\nnumber = 1", "but should be a text or a number"),
        ('format = "xml"', "format is 'xml', but should be one of console, json"),
        ("insecure = 2", "insecure is 2, but should be true or false"),
        ("workers = " + "[" * 30_000, "isn't TOML: it is nested too deeply"),
        ("workers = " + "{a=" * 20_000, "isn't TOML: it is nested too deeply"),
        ("root = " + "[" * 100 + "]" * 100, "root is a list, but should be a text or a number"),
        ("names = [[1]]", "names is a list, but should be a text or a number"),
        ("root = [true]", "root is true, but should be a text or a number"),
        ("workers = " + "1" * 6000, "a number has too many digits"),
        ("workers = " + "1" * 600, "workers is a number of too many digits"),
        ("workers = " + "1" * 19, ", but should be a whole number of at most 18 digits"),
        ("workers = 0x" + "f" * 60_000, "workers is a number of too many digits"),
        ("insecure = 0x" + "f" * 60_000, "insecure is a number of too many digits"),
        ("root = [0x" + "f" * 60_000 + "]", "root is a number of too many digits"),
        ("insecure = [true]", "insecure is a list, but should be a text or a number"),
        ('share = "' + "1" * 6000 + '"', "1..., but should be a number of at most 1e308"),
        (".".join("a" * 20_000) + " = 1", "line 1 has more than 1000 dots"),
        ("# Line one\n[" + ".".join("a" * 1002) + "]", "line 2 has more than 1000 dots"),
        (".".join("a" * 1001) + " = 1", "the key 'a' isn't a setting"),
        ("a" * 60_000 + " = 1", "aaa... isn't a setting"),
        ("#" * (64 << 10) + "\n", "is larger than 64 kB"),
        ('volume = "a\\u0000b"', "volume is 'a\\x00b': it has a NUL character in it"),
        ('folder = "a\\u0000b"', "folder is 'a\\x00b': it has a NUL character in it"),
        ('root = ["a", "\\u0000"]', "root is '\\x00': it has a NUL character in it"),
    ],
)
def test_a_value_that_the_flag_would_refuse_is_refused(tmp_path, file, reason):
    error = refused("--volume", "v", file=file, tmp_path=tmp_path)
    assert "layers.toml" in error
    assert reason in error
    assert len(error) < 300


def test_a_value_of_a_variable_is_refused_likewise():
    assert refused(SERVICE_VOLUME="v", SERVICE_WORKERS="x") == (
        "SERVICE_WORKERS is 'x', but should be a whole number"
    )
    assert "should be true or false" in refused(SERVICE_VOLUME="v", SERVICE_INSECURE="maybe")


@pytest.mark.timeout(30)
def test_a_file_of_settings_that_is_none_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00")
    for path, reason in (
        (tmp_path / "none", f"^--config {tmp_path}/none: No such file or directory$"),
        (tmp_path / "bytes", "isn't TOML"),
        (tmp_path / "fifo", "is a FIFO"),
        ("/dev/zero", "is a device"),
    ):
        with pytest.raises(HostingError, match=reason):
            parse("--config", str(path))


@given(st.text(), st.text(max_size=20))
def test_whatever_a_file_says_is_taken_or_refused(tmp_path_factory, text, key):
    path = tmp_path_factory.mktemp("any") / "any.toml"
    path.write_text(text, "utf-8", newline="")
    made = parser()
    try:
        layers.apply(made, ["--config", str(path)], {f"SERVICE_{key.upper()}": "1"}, prefix="SERVICE_")
    except HostingError:
        return


def test_the_flags_are_listed_without_help():
    assert [action.dest for action in layers.actions(parser())][:3] == ["config", "volume", "workers"]


def test_the_environment_sets_what_a_flag_may_and_empty_variables_count_as_not_set():
    environment = {
        "RETRIEVER_VOLUME": "/data",
        "RETRIEVER_POLL_SECONDS": "0.5",
        "RETRIEVER_LISTEN": "",
        "TRAINER_VOLUME": "/other",
        "PATH": "/bin",
    }
    assert layers.variables(environment, "RETRIEVER_") == {"volume": "/data", "poll_seconds": "0.5"}
