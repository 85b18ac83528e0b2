"""`python -m trainer` as it is called: what it prints where, and how it ends."""

import contextlib
import json
import os
import pty
import signal

import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import list_labels, read_label
from lightfm_retriever.publication.reader import list_versions
from lightfm_retriever.publication.verification import verify
from tests import datasets, publications
from tests.integration.trainer.conftest import call, start


@pytest.fixture(scope="module")
def template(files, tmp_path_factory):
    """A volume with two versions, `current` naming the newer, and what was printed for the older."""
    volume = tmp_path_factory.mktemp("published") / "volume"
    for_people = call("train", *files, "--volume", volume)
    [older] = list_versions(volume)
    done = call("train", *files, "--epochs", 3, "--volume", volume, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return volume, older, json.loads(done.stdout)["version"], for_people


@pytest.fixture
def published(template, tmp_path):
    return publications.copy(template[0], tmp_path / "volume"), *template[1:3]


def test_people_see_progress_on_standard_error_and_the_result_on_standard_output(template):
    _, older, _, done = template
    assert done.returncode == 0
    progress = [" ".join(line.split()) for line in done.stderr.splitlines()]
    assert progress[0].startswith("Training, epochs")
    assert " 2/2 " in progress[0]
    for name in ("similar", "recommend"):
        for backend in ("exact", "annoy 10"):
            [line] = [one for one in progress if one.startswith(f"Index '{name}', {backend}, items ")]
            assert f" {datasets.ITEMS + 1}/{datasets.ITEMS + 1} " in line
    [warning] = [line for line in progress if "training interactions" in line]
    assert warning.startswith("warning: 1 items of items.csv have no training interactions")
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert lines[0].startswith("interactions.parquet: 24 users, 17 items, ")
    for first in ("model: lightfm", "unseen items ", "all items ", "ease, not tuned ", "similar "):
        assert any(line.startswith(first) for line in lines)
    assert lines[-1] == f"published {older}, label 'current' names it"


def test_versions_are_listed_moved_between_and_verified(published, here, monkeypatch):
    volume, older, newer = published

    def ask(*command):
        status, output, errors = here(*command, "--volume", volume, "--json")
        assert (status, errors) == (0, "")
        return json.loads(output)

    listed = {row["version"]: row for row in ask("versions")}
    assert {name: row["labels"] for name, row in listed.items()} == {newer: ["current"], older: []}
    assert listed[newer]["metrics"] == verify(volume, newer).metrics
    assert read_label(volume, "current") == newer
    assert ask("rollback") == {"label": "current", "previous": newer, "version": older}
    assert read_label(volume, "current") == older
    assert ask("promote", newer) == {"label": "current", "previous": older, "version": newer}
    sound = [{"version": version, "problem": None} for version in sorted([older, newer])]
    assert ask("verify") == sound
    monkeypatch.setenv("TRAINER_VOLUME", str(volume))
    assert here("rollback")[1] == f"label 'current' names {older} (before: {newer})\n"
    status, output, errors = here("rollback")
    assert (status, output) == (1, "")
    assert errors.startswith("error: label 'current': no earlier version that it named")


def test_one_changed_byte_is_found_and_keeps_the_label_away(published, here):
    volume, older, newer = published
    path = layout.version_dir(volume, older) / layout.index_file(layout.SIMILAR, "annoy")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    publications.overwrite(path, bytes(data))
    status, output, errors = here("verify", "--volume", volume, "--json")
    assert (status, errors) == (1, "")
    problems = {row["version"]: row["problem"] for row in json.loads(output)}
    assert problems.keys() == {older, newer}
    assert problems[newer] is None
    assert str(path) in problems[older]
    for command in (["promote", older], ["rollback"]):
        status, output, errors = here(*command, "--volume", volume)
        assert (status, output) == (1, "")
        assert errors.startswith(f"error: {path}: ")
    assert read_label(volume, "current") == newer


def test_an_interrupted_training_publishes_nothing(files, tmp_path):
    volume = tmp_path / "volume"
    # On a terminal the bar shows when the training begins, elsewhere when it ends.
    terminal, its_end = pty.openpty()
    endless = ["--epochs", 10_000, "--components", 512]
    command = ["train", *files, *endless, "--volume", volume]
    with start(*command, stderr=its_end, TERM="xterm") as process:
        os.close(its_end)
        shown = b""
        while b"Training, epochs" not in shown:
            shown += os.read(terminal, 1000)
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(OSError):  # which is how a terminal says that nobody writes any more
            while more := os.read(terminal, 1000):
                shown += more
        assert (process.wait(timeout=60), process.stdout.read()) == (130, "")
    os.close(terminal)
    assert shown.endswith(b"interrupted\r\n")
    assert b"Traceback" not in shown
    assert list_versions(volume) == []
    assert list_labels(volume) == {}
