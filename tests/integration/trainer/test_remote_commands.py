"""The commands for a service, each against a service that runs."""

import json
import re

import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import list_labels
from lightfm_retriever.publication.reader import list_versions
from lightfm_retriever.publication.verification import verify
from tests import datasets
from tests.trainer_service import TrainerService
from trainer.event_log.log import read_interactions

QUICK = ["--components", "4", "--epochs", "2", "--seed", "1", "--index-threads", "1", "--trees", "3"]


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("TRAINER_VOLUME", "TRAINER_DATA_DIR", "TRAINER_LISTEN", "TRAINER_STATE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    folder = tmp_path_factory.mktemp("service")
    (folder / "data").mkdir()
    datasets.write_rows(folder / "data/a.csv")
    with TrainerService(
        folder / "volume", folder / "state", data_root=folder / "data", keep_all=True
    ) as running:
        yield running


@pytest.fixture
def show(here, service):
    """Run a command for people, for the service."""
    return lambda *arguments: here(*arguments, "--target", service.target)


@pytest.fixture
def ask(show):
    """Run a command for the service; returns what it printed as JSON."""

    def ask(*arguments, status=0):
        found, output, errors = show(*arguments, "--json")
        assert (found, bool(errors)) == (status, bool(status))
        return json.loads(output)

    return ask


def test_a_training_is_followed_to_its_end_and_shown(show, service):
    status, shown, errors = show("train", "--interactions", "a.csv", *QUICK)
    assert status == 0
    run_id = errors.split()[2]
    before = list_labels(service.volume)
    published = f"published {before['current']}, label 'current' names it"
    for said in (f"training run {run_id}: SUCCEEDED", published, "test_auc_unseen"):
        assert said in shown
    assert "Traceback" not in errors
    # And with what a gate misses.
    status, shown, _ = show("train", "--interactions", "a.csv", *QUICK, "--min-auc", "1")
    assert status == 3
    assert re.search("(?s)gate FAILED: AUC is .* short.*, no label moved", shown)
    assert list_labels(service.volume) == before


def test_a_training_is_one_json_object_for_machines(ask, service):
    made = ask("train", "--interactions", "a.csv", *QUICK, "--canary")
    assert made["state"] == "TRAINING_RUN_STATE_SUCCEEDED"
    assert verify(service.volume, made["version"]).metrics == made["metrics"]
    assert made["label_moved"] is True
    assert made["spec"]["label"] == "canary"
    assert list_labels(service.volume)["canary"] == made["version"]
    assert ask("run", made["id"]) == made
    assert ask("watch", made["id"]) == made


def test_a_training_that_fails_ends_with_status_1(ask, show, service):
    (service.volume.with_name("data") / "bad.csv").write_text("user_id\n1\n")
    failed = ask("train", "--interactions", "bad.csv", *QUICK, status=1)
    assert failed["state"] == "TRAINING_RUN_STATE_FAILED"
    assert "column item_id is missing" in failed["error"]
    for asked in (["watch", failed["id"]], ["watch", failed["id"], "--json"]):
        status, shown, errors = show(*asked)
        assert status == 1
        # People are told its end once.
        assert ("FAILED" in shown) == ("--json" in asked)
        if "--json" in asked:
            errors = f"error: {json.loads(errors)['error']['message']}"
        assert errors.startswith(f"error: training run {failed['id']}: FAILED: ")
        assert "column item_id is missing" in errors


def test_runs_are_listed_and_cancelled(ask, show):
    long = ["train", "--interactions", "a.csv", "--epochs", 10_000, "--detach"]
    running, waiting = ask(*long)["id"], ask(*long)["id"]
    status, shown, _ = show("runs", "--limit", 2)
    lines = shown.splitlines()
    assert status == 0
    assert lines[1].startswith(waiting)
    assert lines[2].startswith(running)
    token = lines[3].removeprefix("more: --page-token ")
    later = ask("runs", "--page-token", token)
    assert {waiting, running}.isdisjoint(run["id"] for run in later.get("training_runs", []))
    assert [run["id"] for run in ask("runs", "--state", "QUEUED")["training_runs"]] == [waiting]
    assert ask("cancel", waiting)["state"] == "TRAINING_RUN_STATE_CANCELLED"
    status, shown, _ = show("cancel", running)
    assert (status, shown.splitlines()[0]) == (0, f"training run {running}: CANCELLED")


def test_versions_and_labels_are_looked_after(ask, show, here, service):
    older, newer = (
        ask("train", "--interactions", "a.csv", *QUICK, "--label", "own", "--seed", seed)["version"]
        for seed in (1, 2)
    )
    rows = {row["version"]: row for row in ask("versions")}
    assert rows.keys() == {*list_versions(service.volume)}
    assert "own" in rows[newer]["labels"]
    assert ask("rollback", "--label", "own") == {"label": "own", "previous": newer, "version": older}
    # A label stands for the version that it names, here and at the service.
    for where in (("--target", service.target), ("--volume", service.volume)):
        by_label = here("version", "own", *where, "--json")
        assert json.loads(by_label[1])["version"] == older
        assert here("diff", "own", newer, *where) == here("diff", older, newer, *where)
    assert ask("promote", "own", "--label", "own")["version"] == older
    for refused, said in (
        (["rollback", "--label", "own"], "PRECONDITION: label 'own': no earlier version"),
        (["delete", older], "FAILED_PRECONDITION: "),
    ):
        assert said in show(*refused)[2]
    assert list_labels(service.volume)["own"] == older
    moved = {"label": "own", "previous": older, "version": newer}
    assert ask("promote", newer, "--label", "own") == moved
    compared = ask("diff", older, newer, "--users", 5)
    assert compared["overlap"]["users"] == 5
    assert [change["name"] for change in compared["hyperparameters"]] == ["seed"]
    missing = layout.version_dir(service.volume, "20260101T000000Z-000000")
    missing.mkdir()
    for command, shown in (
        (["versions"], newer),
        (["diff", older, newer, "--users", "5"], "seed"),
        (["version", newer], newer),
        (["version", missing.name], missing.name),
    ):
        for asked in (command, [*command, "--json"]):
            status, output, errors = show(*asked)
            assert (status, output, errors) == here(*asked, "--volume", service.volume)
            assert status == (missing.name in asked)
            assert shown in output + errors
    missing.rmdir()
    ask("delete", older)
    assert older not in list_versions(service.volume)
    assert "NOT_FOUND: " in show("delete", older)[2]


def test_what_the_service_refuses_is_one_line(show, service):
    target = service.target
    for command, said in (
        (["run", "none"], "NOT_FOUND: there is no training run 'none'"),
        (["rollback", "--label", "never"], "FAILED_PRECONDITION: label 'never' has never named a ver"),
        (["promote", "none"], "label 'none': no version has it"),
    ):
        status, shown, errors = show(*command)
        assert (status, shown) == (1, "")
        assert errors.removeprefix("error: ").removeprefix(f"{target}: ").startswith(said)
        assert errors.count("\n") == 1
    # What the command line asks for is named by its flag. Some of it is known without the service.
    hint = "See 'lightfm-trainer train --help'.\n"
    status, shown, errors = show("train", "--interactions", "/etc/passwd")
    assert (status, shown) == (2, "")
    told = f"error: {target}: --interactions is '/etc/passwd', but should be "
    assert re.fullmatch(f"{re.escape(told)}.*\n{hint}", errors)
    refused = show("train", "--interactions", "a.csv", "--epochs", "0")
    assert refused == (2, "", f"error: --epochs is 0, but should be in 1..10000\n{hint}")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_all_columns_of_a_file_are_appended_and_again_without_effect(
    ask, show, tmp_path, service, suffix
):
    columns = {
        "event_id": [f"all {row}" for row in range(2500)],
        "user_id": [f"u{row % 50}" for row in range(2500)],
        "item_id": [f"i{row // 50}" for row in range(2500)],
        "weight": [1.5] * 2500,
        "timestamp": [1_600_000_000.5 + row for row in range(2500)],
        "event": [f"view {suffix}", "buy"] * 1250,
    }
    prefix = ["--id-prefix", suffix] if suffix == "csv" else []
    if prefix:
        del columns["event_id"]
    file = datasets.write(tmp_path / f"events.{suffix}", columns)
    assert ask("append", file, *prefix) == {"accepted": "2500"}
    status, shown, _ = show("append", file, *prefix)
    assert (status, shown) == (0, "0 events are on disk, 2500 were already\n")
    logged = read_interactions(service.state / "events")
    own = logged.events == logged.event_types.index(f"view {suffix}")
    assert own.sum() == 1250
    assert (logged.weights[own] == 1.5).all()
    assert logged.timestamps[own].max() == 1_600_000_000.5 + 2498


def test_events_are_removed_from_a_service_that_runs(ask, show, tmp_path, service):
    columns = {
        "event_id": [f"gone {row}" for row in range(30)],
        "user_id": ["forgotten", "kept", "kept"] * 10,
        "item_id": [f"i{row}" for row in range(30)],
        "timestamp": [1_600_000_000 + row for row in range(30)],
    }
    ask("append", datasets.write(tmp_path / "more.csv", columns))
    found = ask("remove-events", "--user", "forgotten", "--dry-run")
    assert (found["events"], found["examples"][0]["event_id"]) == (10, "gone 0")
    status, shown, errors = show("remove-events", "--user", "forgotten")
    assert (status, errors) == (0, "")
    assert shown.startswith("10 events were removed: of 1 users, with 10 items, weights 1 to 1, 2020-")
    assert "forgotten" not in read_interactions(service.state / "events").user_ids
    assert ask("remove-events", "--user", "forgotten")["events"] == 0
    both = ["--user", "kept", "--item", "i1"]
    assert ask("remove-events", *both, "--from", 1_600_000_001)["events"] == 1
    assert ask("append", tmp_path / "more.csv") == {"accepted": "11", "duplicates": "19"}
    assert "nothing is selected: give --event-id, --user" in show("remove-events")[2]


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({}, "there is no column event_id: add one, or give --id-prefix"),
        (
            {"event_id": ["a"], "timestamp": [4_000_000_000]},
            "row 1: timestamp is 4000000000, which is 2096-10-02T07:06:40Z, more than a day ahead",
        ),
    ],
)
def test_a_file_that_cannot_be_appended_is_named_with_what_is_wrong(show, tmp_path, columns, said):
    file = datasets.write_csv(tmp_path / "bad.csv", {"user_id": ["u"], "item_id": ["i"], **columns})
    status, shown, errors = show("append", file)
    assert (status, shown) == (1, "")
    assert errors.startswith(f"error: {file}")
    assert said in errors
    assert errors.count("\n") == 1


def test_a_probe_finds_it_healthy(ask, show):
    assert ask("health") == {"healthy": True}
    assert show("health") == (0, "healthy: serving\n", "")
