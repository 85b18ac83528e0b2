import math
from unittest import mock

import pytest

from lightfm_retriever.publication import layout
from retriever import version_files
from retriever.failures import Failure
from retriever.parent.reloading.served_files import Served, ServedFiles

VERSION = "20261124T120000Z-000001"


@pytest.fixture
def directory(tmp_path):
    directory = layout.version_dir(tmp_path, VERSION)
    directory.mkdir(parents=True)
    for name in ("a", "b"):
        (directory / name).write_bytes(b"right")
    return directory


@pytest.fixture
def served(directory):
    return ServedFiles().verified(VERSION, version_files.look(directory, ["a", "b"]))


def test_what_changed_is_verified_once_and_told_of_only_when_it_is_wrong(served, tmp_path, directory):
    served = served.looked(served.look(tmp_path))
    assert (served.sound, served.problem()) == (True, "")
    (directory / "a").write_bytes(b"wrong")
    served = served.looked(served.look(tmp_path))
    assert (served.sound, served.verify_at, served.problem()) == (False, -math.inf, "")
    served = served.refused(Failure("a: SHA-256 is 1, but should be 2"), 0.0)
    served = served.looked(served.look(tmp_path))
    assert (served.sound, served.verify_at) == (False, math.inf)
    assert f"a changed in the served version {VERSION}: a: SHA-256 is 1" in served.problem()
    # Another change is another reason to look; what was told stays told until it is known.
    (directory / "b").unlink()
    served = served.looked(served.look(tmp_path))
    assert served.verify_at == -math.inf
    assert served.problem()
    # What couldn't be verified is so later.
    later = served.refused(Failure("no memory", passing=True), 5.0)
    assert (later.verify_at, "no memory" in later.problem()) == (35.0, True)
    served = served.refused(Failure("b: is missing"), 0.0)
    assert f"b vanished and a changed in the served version {VERSION}" in served.problem()
    served = served.verified(VERSION, version_files.look(directory, ["a", "b"]))
    assert (served.sound, served.problem()) == (True, "")


def test_a_worker_may_see_a_change_before_a_look_does(served, tmp_path):
    served = served.doubted()
    assert (served.sound, served.verify_at) == (False, -math.inf)
    # It was put back meanwhile.
    assert served.looked(served.look(tmp_path)).sound
    # Nothing is known when nothing serves.
    nothing = ServedFiles()
    assert (nothing.look(tmp_path), nothing.sound, nothing.problem()) == (None, True, "")


def test_what_cannot_be_looked_at_is_said_unless_it_is_known_to_be_wrong(served, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        broken = mock.Mock(side_effect=OSError(5, "Input/output error"))
        patch.setattr(version_files, "look", broken)
        seen = served.look(tmp_path)
    unseen = served.looked(seen)
    assert unseen.sound
    assert unseen.problem() == (
        f"the files of the served version {VERSION} can't be checked: Input/output error; a worker "
        "that restarts can't map them"
    )
    assert unseen.looked(served.look(tmp_path)).problem() == ""
    # What was seen of another version says nothing of this one.
    assert served.looked(Served("another", {})) == served
    changed = served.looked(Served(VERSION, {})).refused(Failure("is wrong"), 0.0)
    assert changed.looked(seen).problem() == changed.reason
    # They are back as they were.
    back = changed.looked(served.look(tmp_path))
    assert (back.sound, back.problem()) == (True, "")
