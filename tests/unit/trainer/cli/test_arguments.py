import re
from pathlib import Path

import pytest
from recsys.trainer.v1 import trainer_service_pb2 as pb

from lightfm_retriever.hosting.errors import FlagError
from lightfm_retriever.remote.location import parse_location
from trainer.cli import commands, removal_command, service_commands, versions_commands
from trainer.cli.arguments import parse
from trainer.event_log.log import Selection

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
# Every gRPC service has a health too.
REMOTE = {own[0]: own for own in [*BY_RPC.values(), ["health"]]}
ONLY_REMOTE = {"run", "runs", "watch", "cancel", "append", "health"}
ONLY_LOCAL = {"publish", "report", "tune", "inspect", "verify", "serve", "fetch-dataset", "completion"}
ONLY_LOCAL |= {"models"}
COMMANDS = sorted({*REMOTE} | ONLY_LOCAL)
AT = ["--volume", "v"]
ODD = "\udcff"
TO = "--target 127.0.0.1:1"
ON = "--volume v"
NO_VERSION = "'x.*' isn't a version's name, such as 2026"
NO_LABEL = "should be 1 to 64 of a-z, 0-9, - and _, starting"
LIMITS = ("0", "1001", "many")


def refused(*arguments):
    with pytest.raises(FlagError) as caught:
        parse(arguments)
    return str(caught.value)


def test_a_volume_comes_from_a_flag_or_the_environment_and_is_a_folder_or_a_url(monkeypatch):
    assert "missing: --volume" in refused("verify")
    assert "give --volume, or --target" in refused("versions")
    monkeypatch.setenv("TRAINER_CACHE_DIR", "copies")
    monkeypatch.setenv("TRAINER_CACHE_GB", "2.5")
    for text in ("s3://bucket/some/prefix", "relative/folder"):
        monkeypatch.setenv("TRAINER_VOLUME", text)
        for command in (["versions"], ["publish", "--item-vectors", "a", "--item-ids", "b"], ["serve"]):
            options = parse(command)
            assert options.volume == parse_location(text)
            assert (options.cache_dir, options.cache_gb) == (Path("copies"), 2.5)
    assert parse(["versions", *AT, "--volume", "w"]).volume == Path("w")
    # Paths of any bytes are taken where they work.
    assert parse(["versions", "--volume", ODD]).volume == Path(ODD)
    options = parse(["train", *AT, "--interactions", ODD, "--state", ODD])
    assert (options.interactions, options.state) == (ODD, Path(ODD))
    monkeypatch.setenv("TRAINER_VOLUME", "ftp://host/path")
    assert "TRAINER_VOLUME is 'ftp://host/path': ftp:// isn't known" in refused("versions")


def test_what_is_not_given_is_not_there_or_has_its_default(monkeypatch):
    given = vars(parse(["train", *AT]))
    assert not given.keys() & {"dataset", "interactions", "split", "trees", "target", "state"}
    assert (given["label"], given["no_label"], given["timeout"]) == ("current", False, 60)
    given = vars(parse(["serve", *AT]))
    assert (given["keep"], given["min_age"], given["keep_all"]) == (5, "1h", False)
    assert not given.keys() & {"state", "max_age", "retrain_every", "retrain_cron", "data_root"}
    # Or is what the environment says.
    for name, value in (("LISTEN", "[::]:1"), ("DATA_DIR", "/data"), ("STATE", "/state")):
        monkeypatch.setenv(f"TRAINER_{name}", value)
    serve = parse(["serve", *AT])
    assert (serve.listen, serve.state) == ("[::]:1", Path("/state"))
    for command in (["fetch-dataset", "movielens-100k"], ["train", *AT]):
        assert parse(command).data_dir == Path("/data")


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        ("", "missing: COMMAND"),
        ("retrain", "there is no command 'retrain'; did you mean train?"),
        ("promot", "there is no command 'promot'; did you mean promote?"),
        ("xyz", "there is no command 'xyz'$"),
        (f"train {ON} --epoch 3", "there is no option --epoch; did you mean --epochs?"),
        (f"train {ON} --lable=a", "there is no option --lable; did you mean --label?"),
        ("--versoin", "there is no option --versoin; did you mean --version?"),
        (f"versions {ON} x", "'x' is one argument too many"),
        (f"train {ON} --epochs many", "--epochs is 'many', but should be a whole number"),
        (
            f"train {ON} --dataset netflix",
            "--dataset is 'netflix', but should be one of movielens-100k",
        ),
        ("fetch-dataset movilens-100k", "DATASET is .*; did you mean movielens-100k?"),
        (f"train {ON} --loss wrap", "--loss is 'wrap', .*; did you mean warp?"),
        (f"promote {ON}", "missing: version"),
        (f"train {ON} --epochs", "--epochs needs a value"),
        (f"train {ON} --canary=yes", "--canary takes no value"),
        (f"train {ON} --canary --no-label", "give --no-label or --canary, not both"),
        *(
            (f"runs --limit {own}", f"--limit: '{own}' isn't a whole number from 1 to 1000")
            for own in LIMITS
        ),
        (f"diff {ONE} {OTHER} {ON} --users 10001", "'10001' isn't a whole number from 1 to"),
        (f"train {ON} --label=a/b", NO_LABEL),
        (f"promote {ONE} {ON} --label=", NO_LABEL),
        (f"rollback {ON} --label=Up", NO_LABEL),
        *((f"{own} {ON}", NO_VERSION) for own in ("promote x.y", "delete xyz", f"diff xyz! {ONE}")),
        ("remove-events --from yesterday", "--from is 'yesterday': it isn't seconds since 1970"),
        ("remove-events --from=", "--from is '': it is empty$"),
        ("remove-events --to 1767225600000", "are these milliseconds?"),
        (
            "remove-events --to 2026",
            "^--to is '2026': it would be so many seconds after 1970: write 2026-01-",
        ),
        ("remove-events --min-weight much", "--min-weight is 'much', but should be a number"),
        *(
            (command, rf"{flag} is .*\\udcff.*, which isn't valid UTF-8")
            for flag, command in (
                ("RUN", f"run {ODD}"),
                ("VERSION", f"version {ODD} {TO}"),
                ("VERSION", f"verify {ONE} {ODD} {ON}"),
                ("--label", f"rollback --label {ODD} {ON}"),
                ("--user", f"remove-events --user {ODD} {TO}"),
                ("--event-weights", f"train --event-weights {ODD}=1 {ON}"),
                ("--database-url", f"train --database-url sqlite:///{ODD} {ON}"),
                ("--interactions", f"train --interactions {ODD} {TO}"),
                ("--volume", f"train --volume v{ODD}"),
                ("--cache-dir", f"serve {ON} --cache-dir {ODD}"),
            )
        ),
        # An empty path is not the current directory.
        *(
            (f"{command} {flag}=", f"{flag} is an empty path")
            for flag, command in (
                ("--data-root", f"serve {ON}"),
                ("--volume", "versions"),
                ("--config", f"serve {ON}"),
                ("--output", f"report {ON}"),
                ("--seen", f"publish {ON} --item-vectors a --item-ids b"),
            )
        ),
    ],
)
def test_a_mistake_is_named(command, reason):
    assert re.search(reason.replace("?", "[?]"), refused(*command.split()))


@pytest.mark.parametrize("page", ["--help", "--help-all"])
@pytest.mark.parametrize("command", [[], *([command] for command in COMMANDS)])
def test_every_command_explains_itself(capsys, monkeypatch, command, page):
    if not command and page == "--help-all":
        return
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit) as caught:
        parse([*command, page])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(" ".join(["usage: lightfm-trainer", *command]))
    for noise in ("%(", "==SUPPRESS==", "default: None", "default: ==", "default: False"):
        assert noise not in shown
    assert max(map(len, shown.splitlines())) <= 80
    if page == "--help":
        assert len(shown.splitlines()) <= 40
    words = " ".join(shown.split())
    if not command:
        assert all(name in words for name in COMMANDS)
    if command == ["train"] and page == "--help-all":
        for part in ("columns user_id and item_id", "may have weight", "512 bytes"):
            assert part in words
        assert "--epochs N number of passes over the interactions (default: chosen by" in words


def test_every_rpc_has_a_command_and_every_command_is_known_here_or_there():
    [service] = pb.DESCRIPTOR.services_by_name.values()
    assert BY_RPC.keys() == {method.name for method in service.methods}
    both = {*versions_commands.COMMANDS}
    assert service_commands.COMMANDS.keys() | both == {*REMOTE}
    assert commands.COMMANDS.keys() | both == {*COMMANDS} - ONLY_REMOTE
    for arguments in REMOTE.values():
        options = parse([*arguments, "--target", "host:1", "--timeout", "2.5"])
        assert (options.target, options.timeout) == ("host:1", 2.5)


@pytest.mark.parametrize("command", sorted(ONLY_REMOTE))
def test_what_only_a_service_has_asks_the_one_of_this_machine(monkeypatch, command):
    given = parse(REMOTE[command])
    # A probe waits for less.
    assert (given.target, given.timeout) == ("127.0.0.1:50052", 5 if command == "health" else 60)
    monkeypatch.setenv("TRAINER_LISTEN", "host:2")
    assert parse(REMOTE[command]).target == "host:2"


def test_which_events_to_remove():
    ids = ["--user", "a", "--user", "b", "--item", "x", "--event-id", "1"]
    bounds = ["--from", "2026-01-01", "--to", "1767312000", "--min-weight=-1", "--max-weight", "5"]
    # They are found by the state alone.
    options = parse(["remove-events", "--state", "s", *ids, *bounds])
    assert "target" not in options
    times = {"happened_from": 1767225600.0, "happened_before": 1767312000.0}
    named = {"event_ids": ["1"], "user_ids": ["a", "b"], "item_ids": ["x"]}
    expected = Selection(**named, **times, min_weight=-1.0, max_weight=5.0)
    assert removal_command.selection(options) == expected


@pytest.mark.parametrize("command", sorted(REMOTE.keys() - ONLY_REMOTE))
def test_either_a_volume_is_meant_or_a_service(monkeypatch, command):
    arguments = REMOTE[command]
    assert "target" not in parse([*arguments, *AT])
    assert "volume" not in parse([*arguments, "--target", "host:1"])
    monkeypatch.setenv("TRAINER_LISTEN", "[::1]:7")
    assert parse(arguments).target == "[::1]:7"
    assert parse([*arguments, "--target", "b:8"]).target == "b:8"
    assert "target" not in parse([*arguments, *AT])
    monkeypatch.setenv("TRAINER_VOLUME", "elsewhere")
    assert "target" not in parse(arguments)
    # What is given goes before what the environment has.
    assert parse([*arguments, "--target", "a:1"]).target == "a:1"
    for where in (["--volume", "elsewhere", "--target", "a:1"], ["--target=a:1", "--volume=v"]):
        error = refused(*arguments, *where)
        assert error == "give --volume or --target, not both"
    monkeypatch.delenv("TRAINER_VOLUME")
    monkeypatch.setenv("TRAINER_LISTEN", "rubbish")
    assert "TRAINER_LISTEN: 'rubbish' should be HOST:PORT" in refused(*arguments)
    assert parse([*arguments, "--target", "a:1"]).target == "a:1"


@pytest.mark.parametrize(
    ("command", "flag", "needed", "chosen"),
    [
        *(
            (f"train {TO} --interactions a {flag} 3", flag, "--volume", "--target")
            for flag in ("--state", "--data-dir", "--cache-dir", "--cache-gb")
        ),
        (f"remove-events --user a {TO} --state=s", "--state", "--volume", "--target"),
        *(
            (f"versions {ON} {flag} 3", flag, "--target", "--volume")
            for flag in ("--timeout", "--ca", "--cert", "--key", "--server-name", "--client-token-file")
        ),
        ("remove-events --user a --state s --timeout 3", "--timeout", "--target", "--state"),
    ],
)
def test_a_flag_that_would_have_no_effect_is_refused(command, flag, needed, chosen):
    expected = f"{flag} is for {needed}, so it has no effect with {chosen}: leave it out"
    assert refused(*command.split()) == expected


def test_a_variable_that_makes_a_flag_useless_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("TRAINER_LISTEN", "a:1")
    why = "so it has no effect with"
    assert f"--state is for --volume, {why} TRAINER_LISTEN:" in refused("train", "--state", "s")
    monkeypatch.setenv("TRAINER_VOLUME", "v")
    assert f"--ca is for --target, {why} TRAINER_VOLUME:" in refused("versions", "--ca", "c")
    file = tmp_path / "own.toml"
    file.write_text('volume = "v"\n')
    monkeypatch.delenv("TRAINER_VOLUME")
    said = refused("train", "--config", str(file), "--ca", "c")
    assert f"--ca is for --target, {why} {file}: volume:" in said
    # Variables are for all commands, so they may set flags that have no effect.
    for name in ("STATE", "DATA_DIR", "CACHE_DIR", "CLIENT_CA"):
        monkeypatch.setenv(f"TRAINER_{name}", "x")
    assert parse(["train", "--target", "a:1"]).target == "a:1"
    assert parse(["versions", *AT]).volume == Path("v")
