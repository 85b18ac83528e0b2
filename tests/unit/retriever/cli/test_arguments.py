"""The command line, up to where a service is started or asked."""

import argparse
import os
from dataclasses import fields
from pathlib import Path
from unittest import mock

import pytest

from lightfm_retriever.hosting.observing.logs import LogSettings
from lightfm_retriever.hosting.security.settings import SecuritySettings
from lightfm_retriever.hosting.settings import layers
from lightfm_retriever.hosting.settings.flags import Hosting
from retriever import __main__ as command_line
from retriever import program
from retriever.cli import commands as client_commands
from retriever.config import Config
from retriever.parent import supervisor


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in os.environ:
        if name.startswith("RETRIEVER_"):
            monkeypatch.delenv(name)


@pytest.fixture
def config(monkeypatch):
    """Runs `serve`, and returns its settings."""
    serve = mock.Mock(return_value=7)
    monkeypatch.setattr(supervisor, "serve", serve)
    return lambda *own: command_line.main(["serve", *own]) == 7 and serve.call_args.args[0]


def test_serve_has_defaults_for_all_but_the_volume_which_may_be_copied(config):
    assert config("--volume", "data") == Config(volume=Path("data"))
    # It may have any bytes.
    assert config("--volume", "/data/\udcff").volume == Path("/data/\udcff")
    for source in ("s3://bucket/prefix", "nfs"):
        set_to = config("--volume", source, "--cache-dir", "cache")
        assert (set_to.volume, set_to.source) == (Path("cache"), source)


def test_no_setting_was_forgotten():
    """Each has a flag, and so a variable, of its name, but what is made of others."""
    serve = argparse.ArgumentParser()
    program.add_serve_flags(serve)
    flags = {action.dest for action in layers.actions(serve)}
    settings = {field.name for field in fields(Config)}
    assert settings - flags == {"host", "port", "hosting", "source"}


def test_settings_are_of_flags_the_environment_or_a_file(config, monkeypatch, tmp_path):
    hosting = Hosting(security=SecuritySettings(insecure=True), logs=LogSettings(access=True))
    expected = Config(volume=Path("data"), host="::1", port=0, workers=6, hosting=hosting)
    flags = ["--volume", "data", "--listen", "[::1]:0", "--workers", "6", "--insecure", "--access-log"]
    assert config(*flags) == expected
    file = tmp_path / "own.toml"
    file.write_text('volume="data"\nworkers=3\nlisten="a:1"\ninsecure=true\naccess_log=true\n')
    monkeypatch.setenv("RETRIEVER_LISTEN", "[::1]:0")
    monkeypatch.setenv("RETRIEVER_WORKERS", "5")
    monkeypatch.setenv("RETRIEVER_GRACE_SECONDS", "")
    assert config("--config", str(file), "--workers", "6") == expected


LISTEN = "RETRIEVER_LISTEN: 'rubbish' should be HOST:PORT"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        # Of the environment, too.
        ("status", LISTEN),
        ("serve --volume data", LISTEN),
        ("serve --volume data --listen rubbish", LISTEN.replace("RETRIEVER_LISTEN", "--listen")),
        ("serve --volume data --workers 0", "--workers is 0, but should be in 1..256"),
        ("serve --volume data --tls-cert c.pem", "cert is given without --"),
        ("serve --volume s3://bucket/prefix", "--volume s3://bucket/prefix: give --cache-dir DIR"),
        ("status --cert c.pem", "cert is given without --"),
    ],
)
def test_a_setting_that_makes_no_sense_is_an_error(monkeypatch, capsys, command, message):
    if message == LISTEN:
        monkeypatch.setenv("RETRIEVER_LISTEN", "rubbish")
    assert command_line.main(command.split()) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err[:7]) == ("", "error: ")
    assert message in captured.err


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("WORKERS", "0", "is 0, but should be in 1..256"),
        ("WORKERS", "many", "is 'many', but should be a whole number"),
        ("LABEL", "A", "is 'A', but should be 1 to 64 of a-z"),
        ("PIN", "x", "is 'x', but should be a version's name"),
        ("TLS_CERT", "c.pem", "is given without --tls-key"),
        ("LOG_FORMAT", "jsn", "is 'jsn', but should be one of console, json; did you mean json?"),
    ],
)
def test_an_error_names_the_variable_or_the_file_that_has_the_setting(
    monkeypatch, capsys, tmp_path, name, value, message
):
    monkeypatch.setenv(f"RETRIEVER_{name}", value)
    assert command_line.main(["serve", "--volume", "v"]) == 2
    told, hint = capsys.readouterr().err.splitlines()
    assert told.startswith(f"error: RETRIEVER_{name} {message}")
    assert hint == "See 'lightfm-retriever serve --help'."
    monkeypatch.delenv(f"RETRIEVER_{name}")
    file = tmp_path / "own.toml"
    file.write_text(f"{name.lower()} = '{value}'\n")
    assert command_line.main(["serve", "--volume", "v", "--config", str(file)]) == 2
    assert capsys.readouterr().err.startswith(f"error: {file}: {name.lower()} {message}")


DIGITS = "1" * 6000
MISTAKES = [
    ("xyz", "there is no command 'xyz'"),
    ("recommend 1 --limits 3", "there is no option --limits; did you mean --limit?"),
    ("recommend 1 --unknown eror", "should be one of error, ignore, popular; did you mean error?"),
    *(
        (f"recommend 1 --{flag} {value}", f"'{value}' should be {expected}")
        for flag, value, expected in (
            ("limit", "0", "a whole number in 1..1000"),
            ("limit", "many", "a whole number in 1..1000"),
            ("search-effort", "0.05", "a number in 0.1..100"),
            ("diversity", "nan", "a number in 0..1"),
        )
    ),
    ("", "missing: COMMAND"),
    ("serve", "missing: --volume"),
    ("serve --volume ftp://host/x", "ftp:// isn't known"),
    ("serve --volume=", "--volume is an empty path"),
    ("similar-items", "at least one ITEM_ID (or --item) is needed"),
    ("similar-items --item 1=x", "'1=x' should be ID or ID=WEIGHT, such as 50=2 (an id with = needs"),
    ("similar-items a b\udc80", r"ITEM_ID is 'b\udc80', which isn't valid UTF-8"),
    ("recommend", "exactly one is needed of USER_ID, --session (or --session-item), --feature"),
    ("recommend 1 --session 2", "exactly one is needed of USER_ID"),
    ("recommend --session 1:x", "'1:x' should be ID[:WEIGHT],..., such as 50,181:2"),
    ("recommend 1 --any-of genres", "'genres' should be NAME=VALUE or NAME=VALUE|VALUE, such as '"),
    ("recommend 1 --any-of a=b||c", "'a=b||c' should be NAME=VALUE"),
    ("recommend 1 --exclude 2,,3", "'2,,3' should be ID,..., such as 50,181 (--exclude-item for ids"),
    ("recommend 1 --attributes a,,b", "'a,,b' should be NAME,..., such as genres,release_year"),
    *(
        (f"recommend 1 --range {text}", f"'{text}' should be NAME=MIN..MAX, such as release_year=199")
        for text in ("year=1990", "year=a..b", "year=..", "=1..2")
    ),
    ("recommend 1 --max-pages 0", "'0' should be a number in 1..999999999, such as 5"),
    ("batch-recommend", "missing: FILE"),
    ("status --ca=", "--ca is an empty path"),
    ("health --liveness --readiness", "give --readiness or --liveness, not both"),
    ("status --fleet a:1,", "'' should be HOST:PORT with a port in 1..65535"),
    ("status --fleet A.example:1,[::1]:2,a.Example:01", "a.example:1 is named twice: leave one out"),
    ("status --fleet a:1 --target b:2", "give --target or --fleet, not both"),
    # A number of thousands of digits is refused briefly.
    *(
        (f"{command} {DIGITS}", f"{command.split()[-1]}")
        for command in (
            *("serve --volume v --workers", "serve --volume v --poll-seconds"),
            *("recommend 1 --timeout", "recommend 1 --all-pages --max-pages"),
        )
    ),
]


@pytest.mark.parametrize(("command", "message"), MISTAKES, ids=lambda text: text[:40])
def test_a_mistake_in_the_command_line_exits_with_2_and_names_the_help(capsys, command, message):
    assert command_line.main(command.split(" ") if command else []) == 2
    told, hint, rest = capsys.readouterr().err.split("\n")
    assert (told[:7], rest) == ("error: ", "")
    assert message in told
    assert len(told) < 200
    # A mistake before the command is of the program.
    known = command.partition(" ")[0] if command[:1] not in ("", "x") else ""
    assert hint == f"See '{f'lightfm-retriever {known}'.strip()} --help'."


COMMANDS = ["serve", "similar-items", "recommend", "status", "health", "completion"]
COMMANDS += ["batch-recommend", "batch-similar-items"]


@pytest.mark.parametrize("page", ["--help", "--help-all"])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_fits_a_screen_and_the_rest_is_one_flag_away(capsys, monkeypatch, command, page):
    if not command and page == "--help-all":
        return
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        command_line.main([*command.split(), page])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: lightfm-retriever {command}")
    for noise in ("%(", "==SUPPRESS==", "default: None", "default: False"):
        assert noise not in shown
    assert max(map(len, shown.splitlines())) <= 80
    if page == "--help":
        assert len(shown.splitlines()) <= 40
    if not command:
        assert all(name in shown for name in COMMANDS)


@pytest.mark.parametrize("page", ["--help", "--help-all"])
@pytest.mark.parametrize(
    ("command", "name", "value"),
    [
        ("serve", "RETRIEVER_WORKERS", "many"),
        ("serve", "RETRIEVER_WORKER", "3"),
        ("serve", "RETRIEVER_CONFIG", "missing.toml"),
        ("status", "RETRIEVER_LISTEN", "rubbish"),
    ],
)
def test_help_explains_a_wrong_variable(capsys, monkeypatch, command, name, value, page):
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as caught:
        command_line.main([command, page])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: lightfm-retriever {command}")


def test_who_is_asked_and_how(monkeypatch):
    run = mock.Mock(return_value=0)
    monkeypatch.setattr(client_commands, "run", run)

    def asked(*arguments):
        assert command_line.main([*arguments]) == 0
        [options] = run.call_args.args
        return options.target, options.timeout, options.json

    assert asked("recommend", "3") == ("127.0.0.1:50051", 5.0, False)
    flags = ["--target", "example.org:1", "--timeout", "0.5", "--json"]
    assert asked("recommend", "東京", *flags) == ("example.org:1", 0.5, True)
    # An id may look like a flag.
    assert not asked("recommend", "--", "--json")[2]
    # The service that the environment starts is the one that is asked.
    monkeypatch.setenv("RETRIEVER_LISTEN", "[::1]:1234")
    assert asked("status")[0] == "[::1]:1234"
    # Only `serve` can use this one.
    monkeypatch.setenv("RETRIEVER_LISTEN", "127.0.0.1:0")
    assert asked("status", "--target", "a:1")[0] == "a:1"
    assert asked("status", "--fleet", "a:1,b:1")[0] == "127.0.0.1:50051"
