"""The command line, up to where a service is started or asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from retriever import __main__ as command_line
from retriever import client_commands, supervisor
from retriever.config import Config


@pytest.fixture
def run(monkeypatch):
    """Runs a command line, and returns what would be served or asked."""
    for name in ("VOLUME", "LISTEN", "WORKERS", "LABEL", "POLL_SECONDS", "THREADS"):
        monkeypatch.delenv(f"RETRIEVER_{name}", raising=False)
    taken = []
    monkeypatch.setattr(command_line, "_serve", lambda options: taken.append(options) or 0)
    monkeypatch.setattr(client_commands, "run", lambda options: taken.append(options) or 0)

    def run(*arguments):
        assert command_line.main(list(arguments)) == 0
        return vars(taken.pop())

    return run


@pytest.fixture
def config(monkeypatch):
    """Runs `serve`, and returns its settings."""
    taken = []
    monkeypatch.setattr(supervisor, "serve", lambda config: taken.append(config) or 7)

    def config(*arguments):
        assert command_line.main(["serve", *arguments]) == 7
        return taken.pop()

    return config


def test_serve_takes_every_setting(config):
    assert config(
        *("--volume", "/data", "--listen", "[::1]:0", "--workers", "3", "--label", "canary"),
        *("--poll-seconds", "0.5", "--threads", "8", "--drain-seconds", "0", "--grace-seconds", "2"),
    ) == Config(
        volume=Path("/data"),
        host="::1",
        port=0,
        workers=3,
        label="canary",
        poll_seconds=0.5,
        threads=8,
        drain_seconds=0,
        grace_seconds=2,
    )


def test_serve_has_defaults_for_all_but_the_volume(config):
    assert config("--volume", "data") == Config(volume=Path("data"))


def test_the_environment_is_a_default_and_a_flag_wins(config, monkeypatch):
    monkeypatch.setenv("RETRIEVER_VOLUME", "/data")
    monkeypatch.setenv("RETRIEVER_LISTEN", "0.0.0.0:1234")
    monkeypatch.setenv("RETRIEVER_WORKERS", "5")
    monkeypatch.setenv("RETRIEVER_GRACE_SECONDS", "")
    expected = Config(volume=Path("/data"), host="0.0.0.0", port=1234, workers=6)  # noqa: S104
    assert config("--workers", "6") == expected


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--listen", "rubbish"], "error: 'rubbish' should be HOST:PORT"),
        (["--workers", "0"], "error: --workers is 0, but should be in 1..256"),
        (["--label", "No"], "error: --label is 'No', but should be"),
    ],
)
def test_a_setting_out_of_range_is_an_error_and_not_a_traceback(capsys, flags, message):
    assert command_line.main(["serve", "--volume", "data", *flags]) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert captured.out == ""


@pytest.mark.parametrize("command", [["status"], ["recommend", "3"], ["serve", "--volume", "data"]])
def test_an_environment_that_makes_no_sense_is_an_error_and_not_a_traceback(
    monkeypatch, capsys, command
):
    monkeypatch.setenv("RETRIEVER_LISTEN", "rubbish")
    assert command_line.main(command) == 1
    assert capsys.readouterr().err.startswith("error: 'rubbish' should be HOST:PORT")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["serve"],
        ["serve", "--volume", "data", "--workers", "many"],
        ["serve", "--volume", "data", "--poll-seconds", "x"],
        ["similar-items"],
        ["recommend", "1", "2"],
        ["recommend", "1", "--limit", "ten"],
        ["status", "--timeout", "soon"],
        ["similar-items", "1", "--include-seen"],
    ],
)
def test_a_mistake_in_the_command_line_exits_with_2_and_shows_the_usage(run, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 2
    assert "usage: python -m retriever" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["serve", "--help"],
        ["similar-items", "--help"],
        ["recommend", "-h"],
        ["status", "-h"],
    ],
)
def test_help_is_shown(run, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        run(*arguments)
    assert caught.value.code == 0
    assert "usage: python -m retriever" in capsys.readouterr().out


def test_what_is_asked(run):
    assert run("similar-items", "50", "--limit", "3", "--json") == {
        "command": "similar-items",
        "item_id": "50",
        "limit": 3,
        "target": "127.0.0.1:50051",
        "timeout": 5.0,
        "json": True,
    }
    asked = run("recommend", "東京", "--include-seen", "--target", "example.org:1", "--timeout", "0.5")
    assert (asked["user_id"], asked["include_seen"], asked["limit"]) == ("東京", True, None)
    assert (asked["target"], asked["timeout"], asked["json"]) == ("example.org:1", 0.5, False)
    assert run("recommend", "3")["include_seen"] is False
    # An id may look like a flag.
    assert run("recommend", "--", "--json")["user_id"] == "--json"


def test_the_service_that_the_environment_starts_is_the_one_that_is_asked(run, monkeypatch):
    monkeypatch.setenv("RETRIEVER_LISTEN", "[::1]:1234")
    assert run("status")["target"] == "[::1]:1234"


def test_an_interrupted_command_exits_as_the_shell_expects(monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(client_commands, "run", interrupted)
    assert command_line.main(["status"]) == 130
