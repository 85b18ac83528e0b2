"""The command line, up to where a service is started or asked."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import pytest

from lightfm_retriever.hosting.observing.logs import LogSettings
from lightfm_retriever.hosting.security.settings import SecuritySettings
from lightfm_retriever.hosting.settings.flags import Hosting
from retriever import __main__ as command_line
from retriever.cli import commands as client_commands
from retriever.config import Config
from retriever.parent import supervisor


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    """Ours sets nothing."""
    for name in os.environ:
        if name.startswith("RETRIEVER_"):
            monkeypatch.delenv(name)


@pytest.fixture
def run(monkeypatch):
    """Runs a command line, and returns what would be served or asked."""
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
        *("--pin", "20261124T043500Z-3fa9c1", "--max-calls", "9"),
        *("--max-connection-age-seconds", "0", "--heartbeat-seconds", "3", "--prepare-seconds", "7"),
        *("--online-recall-share", "0.5", "--insecure", "--access-log"),
    ) == Config(
        volume=Path("/data"),
        host="::1",
        port=0,
        workers=3,
        label="canary",
        pin="20261124T043500Z-3fa9c1",
        poll_seconds=0.5,
        threads=8,
        max_calls=9,
        max_connection_age_seconds=0,
        heartbeat_seconds=3,
        prepare_seconds=7,
        drain_seconds=0,
        grace_seconds=2,
        online_recall_share=0.5,
        hosting=Hosting(security=SecuritySettings(insecure=True), logs=LogSettings(access=True)),
    )


def test_no_setting_was_forgotten(config):
    """Each has a flag and a variable of its name, but host and port, which are --listen, and source.

    With --cache-dir `volume` is the cache, and `source` where the versions come from.
    """
    values = {
        "volume": "data",
        "label": "canary",
        "pin": "20261124T043500Z-3fa9c1",
        "online_recall_share": "0.5",
    }
    for field in fields(Config):
        if field.name in ("host", "port", "hosting", "source"):
            continue
        value = values.get(field.name, "3")
        set_to = config("--volume", "data", f"--{field.name.replace('_', '-')}", value)
        assert str(getattr(set_to, field.name)).removesuffix(".0") == value
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(f"RETRIEVER_{field.name.upper()}", value)
            arguments = [] if field.name == "volume" else ["--volume", "data"]
            assert config(*arguments) == set_to


def test_copies_are_served_from_the_cache(config):
    set_to = config("--volume", "s3://bucket/prefix", "--cache-dir", "cache")
    assert (set_to.volume, set_to.source) == (Path("cache"), "s3://bucket/prefix")
    set_to = config("--volume", "nfs", "--cache-dir", "cache")
    assert (set_to.volume, set_to.source) == (Path("cache"), "nfs")


@pytest.mark.parametrize(
    "command", [["status", "--cert", "c.pem"], ["serve", "--volume", "v", "--tls-cert", "c.pem"]]
)
def test_flags_that_do_not_go_together_are_mistakes_in_the_command_line(capsys, command):
    assert command_line.main(command) == 2
    assert "cert is given without --" in capsys.readouterr().err


def test_a_url_needs_a_cache(capsys):
    assert command_line.main(["serve", "--volume", "s3://bucket/prefix"]) == 2
    assert "give --cache-dir" in capsys.readouterr().err


def test_a_volume_of_no_known_kind_is_refused(capsys):
    with pytest.raises(SystemExit):
        command_line.main(["serve", "--volume", "ftp://host/x"])
    assert "ftp:// isn't known" in capsys.readouterr().err


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
        (
            ["--listen", "rubbish"],
            "error: --listen, or RETRIEVER_LISTEN: 'rubbish' should be HOST:PORT",
        ),
        (
            ["--listen", "a:65536"],
            "error: --listen, or RETRIEVER_LISTEN: 'a:65536' should be HOST:PORT with",
        ),
        (["--workers", "0"], "error: --workers is 0, but should be in 1..256"),
        (["--label", "No"], "error: --label is 'No', but should be"),
        (["--pin", "current"], "error: --pin is 'current', but should be a version's name"),
        (["--max-calls", "0"], "error: --max-calls is 0, but should be in 1..4096"),
        (["--heartbeat-seconds", "1"], "error: --heartbeat-seconds is 1.0, but should be in 2..3600"),
    ],
)
def test_a_setting_out_of_range_is_an_error_and_not_a_traceback(capsys, flags, message):
    assert command_line.main(["serve", "--volume", "data", *flags]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert captured.out == ""


def test_a_setting_that_there_is_not_is_an_error(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("RETRIEVER_WORKER", "3")
    assert command_line.main(["serve", "--volume", "data"]) == 1
    assert (
        "RETRIEVER_WORKER isn't a setting: did you mean RETRIEVER_WORKERS?" in capsys.readouterr().err
    )
    monkeypatch.delenv("RETRIEVER_WORKER")
    file = tmp_path / "own.toml"
    file.write_text('volumes = "data"')
    assert command_line.main(["serve", "--config", str(file)]) == 1
    assert "the key 'volumes' isn't a setting: did you mean volume?" in capsys.readouterr().err


def test_a_file_sets_what_flags_would(config, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('volume = "data"\nworkers = 3\ninsecure = true\n')
    made = config("--config", str(file), "--workers", "4")
    assert (made.volume, made.workers, made.hosting.security.insecure) == (Path("data"), 4, True)


@pytest.mark.parametrize("command", [["status"], ["recommend", "3"], ["serve", "--volume", "data"]])
def test_an_environment_that_makes_no_sense_is_an_error_and_not_a_traceback(
    monkeypatch, capsys, command
):
    monkeypatch.setenv("RETRIEVER_LISTEN", "rubbish")
    assert command_line.main(command) == 2
    assert capsys.readouterr().err.startswith(
        "error: --listen, or RETRIEVER_LISTEN: 'rubbish' should be HOST:PORT"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["serve"],
        ["serve", "--volume", "data", "--workers", "many"],
        ["serve", "--volume", "data", "--poll-seconds", "x"],
        ["similar-items"],
        ["recommend"],
        ["recommend", "1", "2"],
        ["recommend", "1", "--session", "2"],
        ["recommend", "--session", "1:x"],
        ["recommend", "--session", "1,,2"],
        ["recommend", "1", "--any-of", "genres"],
        ["recommend", "1", "--exclude", "2,,3"],
        ["recommend", "1", "--exclude", ""],
        ["recommend", "1", "--range", "year=1990"],
        ["recommend", "1", "--range", "year=a..b"],
        ["recommend", "1", "--range", "year=.."],
        ["recommend", "1", "--unknown", "maybe"],
        ["recommend", "1", "--max-pages", "0"],
        ["similar-items", "--item", "1=x"],
        ["batch-recommend"],
        ["recommend", "1", "--limit", "ten"],
        ["status", "--timeout", "soon"],
        ["similar-items", "1", "--include-seen"],
        ["health", "--liveness", "--readiness"],
        ["health", "now"],
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
        ["health", "-h"],
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
        "item_ids": ["50"],
        "weighted": None,
        "limit": 3,
        "search_effort": None,
        "exact": False,
        "exclude": [],
        "conditions": [],
        "unknown": None,
        "diversity": 0.0,
        "explain": False,
        "attributes": [],
        "paginate": False,
        "page_token": "",
        "all_pages": False,
        "max_pages": 100,
        "target": "127.0.0.1:50051",
        "timeout": 5.0,
        "json": True,
    }
    asked = run("recommend", "東京", "--include-seen", "--target", "example.org:1", "--timeout", "0.5")
    assert (asked["user_id"], asked["include_seen"], asked["limit"]) == ("東京", True, None)
    assert (asked["target"], asked["timeout"], asked["json"]) == ("example.org:1", 0.5, False)
    assert run("recommend", "3")["include_seen"] is False
    for command in ("recommend", "similar-items"):
        asked = run(command, "3", "--search-effort", "0.5", "--exact")
        assert (asked["search_effort"], asked["exact"]) == (0.5, True)
    # An id may look like a flag.
    assert run("recommend", "--", "--json")["user_id"] == "--json"


@pytest.mark.parametrize(
    ("flags", "liveness"), [([], False), (["--readiness"], False), (["--liveness"], True)]
)
def test_a_probe_is_for_readiness_unless_told_otherwise(run, flags, liveness):
    asked = run("health", *flags, "--timeout", "2")
    assert (asked["command"], asked["liveness"], asked["timeout"]) == ("health", liveness, 2.0)


def test_the_service_that_the_environment_starts_is_the_one_that_is_asked(run, monkeypatch):
    monkeypatch.setenv("RETRIEVER_LISTEN", "[::1]:1234")
    assert run("status")["target"] == "[::1]:1234"


def test_an_interrupted_command_exits_as_the_shell_expects(monkeypatch):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(client_commands, "run", interrupted)
    assert command_line.main(["status"]) == 130


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["recommend", "\udcff"], r"argument USER_ID: '\udcff' isn't valid UTF-8"),
        (["similar-items", "a", "b\udc80"], r"argument ITEM_ID: 'b\udc80' isn't valid UTF-8"),
        (["recommend", "1", "--any-of", "a=\udcff"], r"--any-of: 'a=\udcff' isn't valid UTF-8"),
        (["serve", "--volume", "v", "--label", "\udcff"], r"--label: '\udcff' isn't valid UTF-8"),
        (["serve", "--volume", ""], "--volume: an empty path"),
        (["serve", "--volume", "v", "--cache-dir", ""], "--cache-dir: an empty path"),
        (["serve", "--volume", "v", "--config="], "--config: an empty path"),
        (["status", "--ca", ""], "--ca: an empty path"),
        (["batch-recommend", ""], "FILE: an empty path"),
    ],
)
def test_what_is_no_text_and_an_empty_path_are_refused_by_the_flags_name(capsys, arguments, message):
    with pytest.raises(SystemExit) as caught:
        command_line.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_a_volume_may_have_any_bytes(config):
    assert config("--volume", "/data/\udcff").volume == Path("/data/\udcff")


DIGITS = "1" * 6000


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--volume", "/data", "--workers", DIGITS),
        ("serve", "--volume", "/data", "--poll-seconds", DIGITS),
        ("recommend", "1", "--limit", DIGITS),
        ("recommend", "1", "--limit", f"-{DIGITS}"),
        ("recommend", "1", "--diversity", DIGITS),
        ("recommend", "1", "--timeout", DIGITS),
        ("recommend", "1", "--all-pages", "--max-pages", DIGITS),
        ("recommend", "1", "--all-pages", "--max-pages", "1" * 30),
    ],
    ids=lambda arguments: arguments[-2],
)
def test_a_number_of_thousands_of_digits_is_refused_briefly(capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        command_line.main(arguments)
    assert caught.value.code == 2
    told = capsys.readouterr().err.splitlines()[-1]
    assert f"argument {arguments[-2]}" in told
    assert "should be a" in told
    assert len(told) < 200
