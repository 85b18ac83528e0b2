"""Flags, variables and a file: which wins, and what is refused."""

import argparse
import contextlib
import json
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


@pytest.fixture
def parse(tmp_path):
    def call(*arguments, file=None, **environment):
        if file is not None:
            path = tmp_path / "layers.toml"
            path.write_text(file)
            arguments = (*arguments, "--config", str(path))
        made = parser()
        layers.apply(made, arguments, environment, prefix="SERVICE_", also=("OTHER",))
        found = vars(made.parse_args(arguments))
        found.pop("config", None)
        without = {**vars(parser().parse_args(["--volume", "v"])), "volume": ""}
        return {name: value for name, value in found.items() if value != without.get(name, "")}

    return call


def test_a_variable_or_a_file_sets_what_its_flag_would(parse, tmp_path):
    texts = {"volume": "v", "workers": "3", "share": "0.25", "names": "a,b", "every": "1h"}
    wanted = {**texts, "workers": 3, "share": 0.25, "names": ["a", "b"], "root": ["/x", "/y"]}
    wanted |= {"insecure": True, "format": "json"}
    flags = [f"--{name}={value}" for name, value in texts.items()]
    assert parse(*flags, "--root=/x", "--root=/y", "--insecure", "--format", "json") == wanted
    variables = {**texts, "root": "/x,/y", "insecure": "yes", "format": "json"}
    named = {f"SERVICE_{name.upper()}": value for name, value in variables.items()}
    assert parse(**named, OTHER_WORKERS="9") == wanted
    file = "".join(f"{name} = {json.dumps(value)}\n" for name, value in wanted.items())
    assert parse(file=file) == wanted
    # An empty variable counts as not set, and one may name the file.
    assert parse("--volume", "v", SERVICE_WORKERS="", SERVICE_CONFIG="") == {"volume": "v"}
    own = tmp_path / "own.toml"
    own.write_text("workers = 7")
    assert parse("--volume", "v", SERVICE_CONFIG=str(own)) == {"volume": "v", "workers": 7}


def test_a_flag_wins_over_a_variable_and_that_over_the_file(parse):
    file = 'volume = "file"\nworkers = 1\nshare = 0.1\nroot = ["file"]\ninsecure = true'
    variables = {"WORKERS": "2", "SHARE": "0.2", "ROOT": "variable", "INSECURE": "off"}
    named = {f"SERVICE_{name}": value for name, value in variables.items()}
    found = parse("--workers", "3", "--root=flag", file=file, **named)
    assert found == {"volume": "file", "workers": 3, "share": 0.2, "root": ["flag"]}


def test_what_kubernetes_and_clients_set_is_left_alone(parse):
    names = ["PORT", "SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_GRPC", "PORT_50051_TCP_ADDR"]
    names += ["HEADLESS_SERVICE_HOST", "HEADLESS_PORT_50051_TCP_PROTO", "CLIENT_CA", "OTHER"]
    variables = {f"SERVICE_{name}": "tcp://10.0.0.1:50051" for name in names}
    assert parse("--volume", "v", **variables) == {"volume": "v"}


def test_what_a_file_may_not_say_is_refused(parse, tmp_path):
    for file, reason in (
        ("worker = 3", "TMP/layers.toml: the key 'worker' isn't a setting: did you mean workers?"),
        # A file names no other file.
        ('config = "other.toml"', "the key 'config' isn't a setting"),
        ("workers = ", "isn't TOML"),
        ("workers = true", "workers is true, but should be a text or a number"),
        ("[workers]\nnumber = 1", "but should be a text or a number"),
        ('format = "xml"', "format is 'xml', but should be one of console, json"),
        ("workers = " + "[" * 30_000, "isn't TOML: it is nested too deeply"),
        ("root = " + "[" * 100 + "]" * 100, "root is a list, but should be a text or a number"),
        ("workers = " + "1" * 6000, "a number has too many digits"),
        ("workers = " + "1" * 19, ", but should be a whole number of at most 18 digits"),
        ("workers = 0x" + "f" * 60_000, "workers is a number of too many digits"),
        ('share = "' + "1" * 6000 + '"', "1..., but should be a number of at most 1e308"),
        (".".join("a" * 20_000) + " = 1", "line 1 has more than 1000 dots"),
        ("a" * 60_000 + " = 1", "aaa... isn't a setting"),
        ("#" * (64 << 10) + "\n", "is larger than 64 kB"),
        ('volume = "a\\u0000b"', "volume is 'a\\x00b': it has a NUL character in it"),
    ):
        with pytest.raises(HostingError) as caught:
            parse("--volume", "v", file=file)
        error = str(caught.value).replace(str(tmp_path), "TMP")
        assert "layers.toml" in error
        assert reason in error
        assert len(error) < 300


@pytest.mark.timeout(30)
def test_what_a_variable_may_not_say_is_refused(parse):
    for name, value, message in (
        ("WORKER", "3", "the environment variable {} isn't a setting: did you mean SERVICE_WORKERS?"),
        ("XYZ", "3", "the environment variable {} isn't a setting: --help lists what there is"),
        ("WORKERS", "x", "{} is 'x', but should be a whole number"),
        ("INSECURE", "maybe", "{} is 'maybe', but should be true or false"),
        ("CONFIG", "/nowhere/no.toml", "--config /nowhere/no.toml: No such file or directory"),
        ("CONFIG", "/dev/zero", "--config /dev/zero: is a device, but should be a regular file"),
    ):
        name = f"SERVICE_{name}"
        with pytest.raises(HostingError) as caught:
            parse("--volume", "v", **{name: value})
        assert str(caught.value) == message.format(name)


@given(st.text(), st.text(max_size=20))
def test_whatever_a_file_says_is_taken_or_refused(tmp_path_factory, text, key):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, "utf-8", newline="")
    variables = {f"SERVICE_{key.upper()}": "1"}
    with contextlib.suppress(HostingError):
        layers.apply(parser(), ["--config", str(path)], variables, prefix="SERVICE_")
