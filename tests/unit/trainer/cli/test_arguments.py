from __future__ import annotations

from pathlib import Path

import pytest
from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.hosting.errors import HostingError
from lightfm_retriever.remote.location import parse_location
from trainer.cli import commands, service_commands, versions_commands
from trainer.cli.arguments import parse

ONE, OTHER = "20261124T043500Z-3fa9c1", "20261124T043500Z-000000"
# What a service can be asked for, and what asks it.
BY_RPC = {
    "Train": ["train"],
    "GetTrainingRun": ["run", "x"],
    "ListTrainingRuns": ["runs"],
    "WatchTrainingRun": ["watch", "x"],
    "CancelTrainingRun": ["cancel", "x"],
    "AppendInteractions": ["append", "a.csv"],
    "RemoveInteractions": ["remove-events", "--user", "x"],
    "ListVersions": ["versions"],
    "GetVersion": ["version", ONE],
    "SetLabel": ["promote", ONE],
    "Rollback": ["rollback"],
    "DeleteVersion": ["delete", ONE],
    "DiffVersions": ["diff", ONE, OTHER],
}
# What every gRPC service has.
HEALTH = ["health"]
ONLY_REMOTE = {"run", "runs", "watch", "cancel", "append", "health"}
ONLY_LOCAL = {"publish", "report", "tune", "verify", "serve", "fetch-dataset"}
COMMANDS = sorted({command for command, *_ in BY_RPC.values()} | {*HEALTH} | ONLY_LOCAL)


HERE_OR_THERE = [own for own in BY_RPC.values() if own[0] not in ONLY_REMOTE]
WITH_A_VOLUME = {own[0]: own for own in HERE_OR_THERE if own[0] != "remove-events"} | {
    command: [command] for command in ONLY_LOCAL - {"fetch-dataset"}
}


def first(words):
    return words[0]


@pytest.mark.parametrize("text", ["s3://bucket/some/prefix", "relative/folder"])
def test_a_volume_is_a_folder_or_a_url_also_in_the_environment(monkeypatch, text):
    monkeypatch.setenv("TRAINER_VOLUME", text)
    monkeypatch.setenv("TRAINER_CACHE_DIR", "copies")
    monkeypatch.setenv("TRAINER_CACHE_GB", "2.5")
    for command in (["versions"], ["publish", "--item-vectors", "a", "--item-ids", "b"], ["serve"]):
        options = parse(command)
        assert options.volume == parse_location(text)
        assert (options.cache_dir, options.cache_gb) == (Path("copies"), 2.5)
    assert parse(["versions", "--volume", "v"]).volume == Path("v")


@pytest.mark.parametrize("command", ["versions", "verify", "report"])
def test_a_url_in_the_environment_that_is_none_is_a_mistake(monkeypatch, capsys, command):
    monkeypatch.setenv("TRAINER_VOLUME", "ftp://host/path")
    assert "argument --volume: ftp:// isn't known" in refused(capsys, command)


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        parse(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("command", sorted({*WITH_A_VOLUME} - {"publish", "tune"}))
def test_the_volume_comes_from_a_flag_or_the_environment(capsys, monkeypatch, command):
    arguments = WITH_A_VOLUME[command]
    error = refused(capsys, *arguments)
    assert "required: --volume" in error or f"{command}: give --volume, or --target" in error
    monkeypatch.setenv("TRAINER_VOLUME", "/shared")
    assert parse(arguments).volume == Path("/shared")
    assert parse([*arguments, "--volume", "/own"]).volume == Path("/own")


def test_what_is_not_given_is_not_there_or_has_its_default():
    given = vars(parse(["train", "--volume", "v"]))
    assert not given.keys() & {
        "dataset",
        "interactions",
        "split",
        "trees",
        "target",
        "state",
        "max_age",
    }
    assert (given["label"], given["no_label"], given["json"], given["timeout"]) == (
        "current",
        *[False] * 2,
        60,
    )
    given = vars(parse(["serve", "--volume", "v"]))
    assert (given["keep"], given["min_age"], given["keep_all"]) == (5, "1h", False)
    assert not given.keys() & {"state", "max_age", "retrain_every", "retrain_cron", "data_root"}


def test_other_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("TRAINER_LISTEN", "[::]:1")
    monkeypatch.setenv("TRAINER_DATA_DIR", "/data")
    monkeypatch.setenv("TRAINER_STATE", "/state")
    serve = parse(["serve", "--volume", "v"])
    assert (serve.listen, serve.state) == ("[::]:1", Path("/state"))
    assert parse(["fetch-dataset", "movielens-100k"]).data_dir == Path("/data")
    assert parse(["train", "--volume", "v"]).data_dir == Path("/data")


@pytest.mark.parametrize("label", ["", "Current", "a/b", "../x", "é", "x" * 65])
@pytest.mark.parametrize("command", [["train"], ["promote", ONE], ["rollback"]])
def test_what_is_no_label_is_refused(capsys, command, label):
    error = refused(capsys, *command, "--volume", "v", "--label", label)
    assert "should be 1 to 64 of a-z, 0-9, - and _, starting with a letter" in error


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "required: COMMAND"),
        (["retrain"], "invalid choice: 'retrain'"),
        (["train", "--volume", "v", "--epochs", "many"], "--epochs: 'many' should be a whole number"),
        (["train", "--volume", "v", "--loss", "mse"], "--loss: invalid choice: 'mse'"),
        (
            ["train", "--volume", "v", "--target-recall", "high"],
            "--target-recall: 'high' should be a number",
        ),
        (["train", "--volume", "v", "--dataset", "netflix"], "--dataset: invalid choice: 'netflix'"),
        (["promote", "--volume", "v"], "required: version"),
        *(
            (["runs", "--limit", value], f"--limit: '{value}' isn't a whole number from 1 to 1000")
            for value in ("0", "1001", "many")
        ),
        (
            ["diff", ONE, OTHER, "--volume", "v", "--users", "10001"],
            "--users: '10001' isn't a whole number from 1 to 10000",
        ),
        (["fetch-dataset", "netflix"], "invalid choice: 'netflix'"),
    ],
)
def test_a_mistake_is_named(capsys, arguments, reason):
    assert reason in refused(capsys, *arguments)


@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_every_command_explains_itself(capsys, command):
    with pytest.raises(SystemExit) as caught:
        parse([*command, "--help"])
    assert caught.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "usage: python -m trainer" in shown
    # Nothing of argparse's formatting is left over.
    assert "%(" not in shown
    assert "==SUPPRESS==" not in shown
    if not command:
        assert all(name in shown for name in COMMANDS)
    if command == ["train"]:
        for part in ("user_id, item_id", "optionally weight", "512 bytes", "(default: 20)"):
            assert part in shown


def test_every_rpc_has_a_command():
    [service] = pb.DESCRIPTOR.services_by_name.values()
    assert BY_RPC.keys() == {method.name for method in service.methods}
    remote = {command for command, *_ in BY_RPC.values()}
    known = service_commands._COMMANDS.keys() | versions_commands.COMMANDS.keys()
    assert remote | {*HEALTH} == known
    for arguments in [*BY_RPC.values(), HEALTH]:
        options = parse([*arguments, "--target", "host:1", "--timeout", "2.5"])
        assert (options.target, options.timeout) == ("host:1", 2.5)


def test_every_command_is_known_here_or_there():
    both = versions_commands.COMMANDS.keys()
    assert commands._COMMANDS.keys() | both == {*COMMANDS} - ONLY_REMOTE
    assert not ONLY_LOCAL & (service_commands._COMMANDS.keys() | both)


@pytest.mark.parametrize("command", sorted(ONLY_REMOTE))
def test_what_only_a_service_has_asks_the_one_of_this_machine(monkeypatch, command):
    [arguments] = [own for own in [*BY_RPC.values(), HEALTH] if own[0] == command]
    given = parse(arguments)
    # A probe waits for less.
    assert (given.target, given.timeout) == ("127.0.0.1:50052", 5 if command == "health" else 60)
    monkeypatch.setenv("TRAINER_LISTEN", "host:2")
    assert parse(arguments).target == "host:2"


def test_which_events_to_remove():
    ids = ["--user", "a", "--user", "b", "--item", "x", "--event-id", "1"]
    bounds = ["--from", "2026-01-01", "--to", "1767312000", "--min-weight=-1", "--max-weight", "5"]
    options = parse(["remove-events", "--volume", "v", *ids, *bounds, "--dry-run"])
    assert (options.user, options.item, options.event_id) == (["a", "b"], ["x"], ["1"])
    assert (options.happened_from, options.happened_before) == (1767225600.0, 1767312000.0)
    assert (options.min_weight, options.max_weight, options.dry_run) == (-1.0, 5.0, True)
    # By a service, here beside the volume, or here where the state is.
    for where in (["--target", "a:1"], ["--volume", "v"], ["--state", "s"]):
        assert parse(["remove-events", *where, "--user", "a"]).dry_run is False


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--from", "yesterday"], "argument --from: T is 'yesterday', which isn't seconds since 1970"),
        (["--to", "1767225600000"], "are these milliseconds?"),
        (["--to", "2026"], "T is '2026', which would be so many seconds after 1970: write 2026-01-01"),
        (["--min-weight", "much"], "argument --min-weight: 'much' should be a number"),
    ],
)
def test_a_bound_that_is_none_is_a_mistake(capsys, given, said):
    assert said in refused(capsys, "remove-events", "--volume", "v", *given)


@pytest.mark.parametrize("arguments", HERE_OR_THERE, ids=first)
@pytest.mark.parametrize("environment", ["", "elsewhere"])
def test_a_volume_and_a_target_are_not_given_together(monkeypatch, capsys, arguments, environment):
    assert "target" not in parse([*arguments, "--volume", "v"])
    assert "volume" not in parse([*arguments, "--target", "host:1"])
    monkeypatch.setenv("TRAINER_VOLUME", environment)
    for where in (["--volume", "elsewhere", "--target", "a:1"], ["--target=a:1", "--volume=v"]):
        error = refused(capsys, *arguments, *where)
        assert error.endswith("error: give --volume or --target, not both\n")


def test_a_target_may_be_given_where_the_environment_has_a_volume(monkeypatch):
    monkeypatch.setenv("TRAINER_VOLUME", "elsewhere")
    options = parse(["versions", "--target", "a:1"])
    assert (options.target, options.volume) == ("a:1", Path("elsewhere"))
    assert parse(["versions", "--volume", "v", "--volume", "w"]).volume == Path("w")


@pytest.mark.parametrize("arguments", HERE_OR_THERE, ids=first)
def test_the_service_of_the_environment_is_asked_where_no_volume_is_given(
    monkeypatch, capsys, arguments
):
    monkeypatch.setenv("TRAINER_LISTEN", "[::1]:7")
    assert parse(arguments).target == "[::1]:7"
    assert parse([*arguments, "--target", "b:8"]).target == "b:8"
    if arguments[0] == "remove-events":
        assert "target" not in parse([*arguments, "--state", "s"])
    assert "target" not in parse([*arguments, "--volume", "v"])
    monkeypatch.setenv("TRAINER_VOLUME", "v")
    assert "target" not in parse(arguments)
    monkeypatch.delenv("TRAINER_VOLUME")
    monkeypatch.setenv("TRAINER_LISTEN", "rubbish")
    assert "TRAINER_LISTEN: 'rubbish' should be HOST:PORT" in refused(capsys, *arguments)


@pytest.mark.parametrize("where", [["--volume", "v"], ["--target", "a:1"]])
@pytest.mark.parametrize(
    "arguments",
    [
        ["promote", "xyz"],
        ["delete", "xyz"],
        ["version", "xyz"],
        ["diff", "xyz", ONE],
        ["diff", ONE, "xyz"],
    ],
)
def test_what_is_no_versions_name_is_a_mistake_wherever_it_is_asked_for(capsys, arguments, where):
    assert "'xyz' isn't a version's name, such as 2026" in refused(capsys, *arguments, *where)


ODD = "\udcff"
TO = ["--target", "127.0.0.1:1"]
AT = ["--volume", "v"]


@pytest.mark.parametrize(
    ("flag", "arguments"),
    [
        ("run_id", ["run", ODD]),
        ("run_id", ["cancel", ODD]),
        ("version", ["version", ODD, *TO]),
        ("version", ["delete", ODD, *AT]),
        ("version", ["promote", ODD, *TO]),
        ("base", ["diff", ODD, ONE, *TO]),
        ("VERSION", ["verify", ONE, ODD, *AT]),
        ("--label", ["rollback", "--label", ODD, *AT]),
        ("--user", ["remove-events", "--user", ODD, *TO]),
        ("--event-id", ["remove-events", "--event-id", ODD, *TO]),
        ("--request-id", ["train", "--request-id", ODD, *TO]),
        ("--event-weights", ["train", "--event-weights", f"{ODD}=1", *AT]),
        ("--item-features", ["train", "--item-features", ODD, *AT]),
        ("--database-url", ["train", "--database-url", f"sqlite:///{ODD}", *AT]),
        ("--interactions-sql", ["train", "--interactions-sql", ODD, *TO]),
        ("--interactions", ["train", "--interactions", ODD, *TO]),
        ("--items", ["train", "--items", ODD, *TO]),
        ("--users", ["serve", "--users", ODD, *AT]),
        ("--server-name", ["runs", "--server-name", ODD]),
        ("--volume", ["train", "--volume", f"v{ODD}"]),
        ("--cache-dir", ["serve", *AT, "--cache-dir", ODD]),
    ],
)
def test_what_is_not_utf8_is_refused_by_the_flags_name(capsys, flag, arguments):
    error = refused(capsys, *arguments)
    assert f"argument {flag}: " in error
    assert r"\udcff" in error
    assert "isn't valid UTF-8" in error


def test_paths_of_any_bytes_are_taken_where_they_work():
    options = parse(["train", *AT, "--interactions", ODD, "--state", ODD])
    assert (options.interactions, options.state) == (ODD, Path(ODD))
    assert parse(["versions", "--volume", ODD]).volume == Path(ODD)


@pytest.mark.parametrize(
    ("flag", "arguments"),
    [
        ("--data-root", ["serve", *AT]),
        ("--volume", ["versions"]),
        ("--state", ["serve", *AT]),
        ("--data-dir", ["train", *AT]),
        ("--interactions", ["train", *AT]),
        ("--token-file", ["serve", *AT]),
        ("--config", ["serve", *AT]),
        ("--output", ["report", *AT]),
        ("--seen", ["publish", *AT, "--item-vectors", "a", "--item-ids", "b"]),
    ],
)
def test_an_empty_path_is_not_the_current_directory(capsys, flag, arguments):
    assert f"argument {flag}: an empty path" in refused(capsys, *arguments, flag, "")


def test_settings_are_checked_like_flags(monkeypatch, tmp_path):
    file = tmp_path / "own.toml"
    file.write_text('data_root = [""]')
    with pytest.raises(HostingError, match=r"data_root is .*: an empty path"):
        parse(["serve", *AT, "--config", str(file)])
    monkeypatch.setenv("TRAINER_LABEL", ODD)
    with pytest.raises(HostingError, match=r"TRAINER_LABEL is .*: '.udcff' isn't valid UTF-8"):
        parse(["serve", *AT])
