"""Flags, variables and a file: which wins, and what is refused."""

import argparse
import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.hosting.errors import FlagError, HostingError
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
    either = made.add_mutually_exclusive_group()
    either.add_argument("--label", default="current")
    either.add_argument("--canary", action="store_true", default=False)
    return made


@pytest.fixture
def parse(tmp_path):
    def call(*arguments, file=None, **environment):
        if file is not None:
            path = tmp_path / "layers.toml"
            path.write_text(file)
            arguments = (*arguments, "--config", str(path))
        made = parser()
        layers.apply(made, arguments, environment, prefix="SERVICE_")
        found = vars(made.parse_args(arguments))
        for own in ("config", "origins"):
            found.pop(own, None)
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
    names += ["HEADLESS_SERVICE_HOST", "HEADLESS_PORT_50051_TCP_PROTO", "CLIENT_CA"]
    variables = {f"SERVICE_{name}": "tcp://10.0.0.1:50051" for name in names}
    assert parse("--volume", "v", **variables) == {"volume": "v"}


def test_what_a_file_may_not_say_is_refused(parse, tmp_path):
    for file, reason in (
        ("worker = 3", "TMP/layers.toml: the key 'worker' isn't a setting: did you mean workers?"),
        # A file names no other file.
        ('config = "other.toml"', "the key 'config' isn't a setting"),
        ("workers = ", "isn't TOML"),
        ("workers = true", "workers is true, but should be a text or a number"),
        (
            "[workers]\nnumber = 1",
            "TMP/layers.toml: [workers] is a table, but a file of settings has n",
        ),
        (
            "[serve]\nworkers = 3",
            "layers.toml: [serve] is a table, but a file of settings has none: wr",
        ),
        ("[[workers]]\nnumber = 1", "workers is a table, but a file of settings has none"),
        ("workers = [1, 2]", "workers is a list, but should be a single value"),
        ('volume = ["a", "b"]', "volume is a list, but should be a single value"),
        ("workers = 2.5", "workers is '2.5', but should be a whole number"),
        ("volume = 2026-01-01", "volume is a date or a time, but should be a text or a number: put it"),
        ("volume = 10:00:00", "volume is a date or a time"),
        ('insecure = "perhaps"', "insecure is 'perhaps', but should be true or false"),
        ("insecure = 2", "insecure is 2, but should be true or false"),
        ('format = "jsn"', "but should be one of console, json; did you mean json?"),
        (
            'label = "a"\ncanary = true',
            "label and TMP/layers.toml: canary can't be together: leave one out",
        ),
        ('format = "xml"', "format is 'xml', but should be one of console, json"),
        ("workers = " + "[" * 30_000, "isn't TOML: it is nested too deeply"),
        ("root = " + "[" * 100 + "]" * 100, "root is a list, but should be a text or a number"),
        ("workers = " + "1" * 6000, "a number has too many digits"),
        ("workers = " + "1" * 19, ", but should be a whole number of at most 18 digits"),
        ("workers = 0x" + "f" * 60_000, "workers is a number with too many digits"),
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
        ("XYZ", "3", "the environment variable {} isn't a setting: --help-all lists all settings"),
        ("WORKERS", "x", "{} is 'x', but should be a whole number"),
        ("WORKERS", "1e3", "{} is '1e3', but should be a whole number"),
        ("FORMAT", "jsn", "{} is 'jsn', but should be one of console, json; did you mean json?"),
        ("FOLDER", "\0", "{} is '\\x00': it has a NUL character in it"),
        ("INSECURE", "maybe", "{} is 'maybe', but should be true or false"),
        ("CONFIG", "/nowhere/no.toml", "--config /nowhere/no.toml: No such file or directory"),
        ("CONFIG", "/dev/zero", "--config /dev/zero: is a device, but should be a regular file"),
    ):
        name = f"SERVICE_{name}"
        with pytest.raises(HostingError) as caught:
            parse("--volume", "v", **{name: value})
        assert str(caught.value) == message.format(name)


def origins_of(tmp_path, *arguments, file="", **environment):
    path = tmp_path / "own.toml"
    path.write_text(file)
    made, arguments = parser(), (*arguments, "--volume", "v", "--config", str(path))
    layers.apply(made, arguments, environment, prefix="SERVICE_")
    origins = made.parse_args(arguments).origins
    return {flag: origin.replace(str(tmp_path), "TMP") for flag, origin in origins.items()}


def test_an_error_names_where_a_setting_was_made(tmp_path):
    variables = {"SERVICE_WORKERS": "3", "SERVICE_SHARE": "0.2"}
    file = "workers = 1\nevery = '1h'"
    origins = origins_of(tmp_path, "--share", "0.1", file=file, **variables)
    assert origins == {"--workers": "SERVICE_WORKERS", "--every": "TMP/own.toml: every"}
    said = "--workers is 0; --every isn't for --workers-max, nor --share"
    told = "SERVICE_WORKERS is 0; TMP/own.toml: every isn't for --workers-max, nor --share"
    assert layers.blamed(said, origins) == told
    assert layers.blamed(said, {}) == said


def test_of_settings_that_cannot_be_together_the_stronger_layer_wins(parse, tmp_path):
    file, variable = "canary = true", {"SERVICE_LABEL": "a"}
    assert parse("--volume", "v", file=file) == {"volume": "v", "canary": True}
    assert parse("--volume", "v", file=file, **variable) == {"volume": "v", "label": "a"}
    assert parse("--volume", "v", "--label", "b", file=file) == {"volume": "v", "label": "b"}
    assert parse("--volume", "v", "--canary", **variable) == {"volume": "v", "canary": True}
    # A switch that is off is beside nothing.
    off = 'label = "a"\ncanary = false'
    assert parse("--volume", "v", file=off) == {"volume": "v", "label": "a"}
    assert parse("--volume", "v", file=file, SERVICE_CANARY="no", **variable)["label"] == "a"
    message = "SERVICE_LABEL and SERVICE_CANARY can't be together: leave one out"
    with pytest.raises(FlagError, match=message):
        parse("--volume", "v", SERVICE_CANARY="yes", **variable)
    assert origins_of(tmp_path, file=file, **variable) == {"--label": "SERVICE_LABEL"}


def test_a_command_without_a_file_has_those_variables_only_that_are_meant_for_it():
    made = argparse.ArgumentParser()
    layers.settable(made.add_argument("--volume"))
    layers.settable(made.add_argument("--target"), "listen")
    made.add_argument("--state")
    variables = {"SERVICE_VOLUME": "v", "SERVICE_LISTEN": "a:1", "SERVICE_STATE": "s", "SERVICE_X": "1"}
    layers.apply(made, [], variables, prefix="SERVICE_")
    found = vars(made.parse_args([]))
    assert (found["volume"], found["target"], found["state"]) == ("v", "a:1", None)
    assert found["origins"] == {"--volume": "SERVICE_VOLUME", "--target": "SERVICE_LISTEN"}


@pytest.mark.parametrize(
    ("arguments", "target"), [(["--target", "a:1"], "a:1"), (["--fleet=b"], "default")]
)
def test_a_variable_of_another_command_fails_none_that_does_not_need_it(arguments, target):
    made = argparse.ArgumentParser()
    either = made.add_mutually_exclusive_group()
    either.add_argument("--fleet")
    layers.settable(
        either.add_argument("--target", choices=["default", "a:1"], default="default"), "listen"
    )
    variables = {"SERVICE_LISTEN": "a:0"}
    layers.apply(made, arguments, variables, prefix="SERVICE_")
    assert made.parse_args(arguments).target == target
    with pytest.raises(FlagError, match="SERVICE_LISTEN is 'a:0'"):
        layers.apply(made, ["--", *arguments], variables, prefix="SERVICE_")


def test_a_file_may_have_settings_of_other_commands_and_a_command_flags_that_are_no_settings(tmp_path):
    made = parser()
    layers.settable(made.add_argument("--ends", nargs=2), "")
    made.add_argument("--output", default="o")
    file = tmp_path / "own.toml"
    file.write_text("workers = 5\nelsewhere = 1\nends = 3")
    variables = {"SERVICE_SHARE": "0.1", "SERVICE_ELSEWHERE": "2"}
    known = ["workers", "share", "elsewhere", "ends"]
    arguments = ["--volume", "v", "--config", str(file)]
    layers.apply(made, arguments, variables, prefix="SERVICE_", known=known)
    found = made.parse_args(arguments)
    assert (found.workers, found.share, found.ends, found.output) == (5, 0.1, None, "o")
    file.write_text("output = 'p'")
    with pytest.raises(FlagError, match="the key 'output' isn't a setting"):
        layers.apply(parser(), arguments, {}, prefix="SERVICE_", known=known)


@pytest.mark.parametrize("flag", ["-h", "--help", "--help-all"])
def test_help_is_shown_whatever_the_settings_are(flag):
    made = parser()
    made.add_argument("--help-all", action="store_true")
    wrong = {"SERVICE_WORKERS": "many", "SERVICE_WORKER": "1", "SERVICE_CONFIG": "nope"}
    layers.apply(made, ["--label", "a", flag], wrong, prefix="SERVICE_")
    assert made.get_default("workers") == 2
    # After -- it is no flag.
    with pytest.raises(FlagError, match="SERVICE_WORKER "):
        layers.apply(made, ["--", flag], wrong, prefix="SERVICE_")


@given(st.text(), st.text(max_size=20))
def test_whatever_a_file_says_is_taken_or_refused(tmp_path_factory, text, key):
    path = tmp_path_factory.getbasetemp() / "any.toml"
    path.write_text(text, "utf-8", newline="")
    variables = {f"SERVICE_{key.upper()}": "1"}
    with contextlib.suppress(HostingError):
        layers.apply(parser(), ["--config", str(path)], variables, prefix="SERVICE_")
