"""`lightfm-trainer versions --export`, in this process."""

import csv
import json
import re

import pytest

from lightfm_retriever.publication import layout
from tests import publications
from trainer.__main__ import main


@pytest.fixture
def volume(tmp_path):
    folder = tmp_path / "volume"
    folder.mkdir()
    return folder


def read(path):
    with path.open(newline="") as lines:
        return [*csv.DictReader(lines)]


def test_every_version_is_a_row_with_parameters_and_metrics(volume, tmp_path, capsys):
    version = publications.publish(volume)
    path = tmp_path / "versions.csv"
    assert main(["versions", "--volume", str(volume), "--export", str(path)]) == 0
    assert capsys.readouterr().out == f"wrote 1 version to {path}\n"
    [row] = read(path)
    manifest = json.loads((layout.version_dir(volume, version) / layout.MANIFEST).read_bytes())
    assert (row["version"], row["training_run"]) == (version, manifest["run"]["id"])
    for name, value in manifest["metrics"].items():
        assert float(row[f"metrics.{name}"]) == value
    assert row["params.dataset.name"] == manifest["dataset"]["name"]
    assert not [name for name in row if "sha256" in name]


def test_a_version_that_cannot_be_read_has_its_problem(volume, tmp_path, capsys):
    good, broken = publications.publish(volume), publications.publish(volume)
    (layout.version_dir(volume, broken) / layout.MANIFEST).write_text("{")
    path = tmp_path / "versions.json"
    assert main(["versions", "--volume", str(volume), "--export", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(path), "rows": 2}
    rows = {row["version"]: row for row in json.loads(path.read_text())}
    assert rows.keys() == {good, broken}
    assert layout.MANIFEST in rows[broken]["problem"]
    assert rows[good]["problem"] == ""
    assert rows[good]["metrics"]


@pytest.mark.parametrize("name", ["versions.txt", "none/versions.csv"])
def test_a_file_that_cannot_be_written_is_an_error(volume, tmp_path, capsys, name):
    assert main(["versions", "--volume", str(volume), "--export", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert re.match(r"error: --export is '.*', but should be a file ", said)
