"""What must be on the disk before what: the order in which the writer flushes and renames."""

import os
from pathlib import Path

import pytest

from lightfm_retriever.files import durable
from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import promote
from tests import publications


@pytest.fixture
def trace(monkeypatch):
    events = []

    def trace(name, event):
        call = getattr(os, name)

        def traced(*arguments):
            events.append(event(*arguments))
            call(*arguments)

        monkeypatch.setattr(os, name, traced)

    def flushed(descriptor):
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        return "fsync", path.name, path.stat().st_size if path.is_file() else None

    trace("fsync", flushed)
    for name in ("rename", "replace"):
        trace(name, lambda source, target: ("move", Path(source).name, Path(target).name))
    return events


def test_everything_is_on_the_disk_before_the_version_or_a_label_appears(tmp_path, trace):
    (layout.versions_dir(tmp_path)).mkdir(parents=True)
    layout.staging_dir(tmp_path).mkdir()
    version = publications.publish(tmp_path)
    directory = layout.version_dir(tmp_path, version)
    sizes = {path.name: path.stat().st_size for path in directory.iterdir()}
    assert trace == [
        *(("fsync", name, sizes[name]) for name in publications.ALL_FILES),
        ("fsync", layout.MANIFEST, sizes[layout.MANIFEST]),
        ("fsync", "files", None),
        ("move", "files", version),
        ("fsync", layout.VERSIONS, None),
    ]
    promote(tmp_path, version)
    trace.clear()
    promote(tmp_path, version)
    temporary = trace[0][1]
    assert trace[:3] == [
        ("fsync", temporary, len(version) + 1),
        ("move", temporary, "current"),
        ("fsync", layout.LABELS, None),
    ]


def test_new_directories_are_on_the_disk(tmp_path, trace):
    for _ in range(2):
        durable.make_directory(tmp_path / "a" / "b" / "c")
        assert trace == [("fsync", name, None) for name in (tmp_path.name, "a", "b")]
