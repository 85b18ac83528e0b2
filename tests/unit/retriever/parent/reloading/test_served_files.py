from __future__ import annotations

import pytest

from lightfm_retriever.publication import layout
from retriever import version_files
from retriever.failures import Failure
from retriever.parent.reloading.served_files import ServedFiles

VERSION = "20261124T120000Z-000001"


@pytest.fixture
def directory(tmp_path):
    directory = layout.version_dir(tmp_path, VERSION)
    directory.mkdir(parents=True)
    for name in ("a", "b"):
        (directory / name).write_bytes(b"right")
    return directory


@pytest.fixture
def clock():
    return [0.0]


@pytest.fixture
def served(tmp_path, directory, clock):
    served = ServedFiles(tmp_path, clock=lambda: clock[0])
    served.serve(VERSION, version_files.look(directory, ["a", "b"]))
    return served


def test_nothing_is_wrong_with_what_was_just_verified(served):
    served.found(served.look())
    assert (served.sound, served.wants_verification, served.refused, served.problem()) == (
        True,
        False,
        False,
        "",
    )


def test_what_changed_is_verified_once_and_told_of_only_when_it_is_wrong(served, directory):
    (directory / "a").write_bytes(b"wrong")
    served.found(served.look())
    assert (served.sound, served.wants_verification, served.problem()) == (False, True, "")
    served.refuse(Failure("a: SHA-256 is 1, but should be 2"))
    served.found(served.look())
    assert (served.sound, served.wants_verification, served.refused) == (False, False, True)
    assert f"a changed in {VERSION}, which serves: a: SHA-256 is 1" in served.problem()
    # Another change is another reason to look; what was told stays told until it is known.
    (directory / "b").unlink()
    served.found(served.look())
    assert (served.wants_verification, served.refused) == (True, False)
    assert served.problem()
    served.refuse(Failure("b: is missing"))
    assert f"b vanished and a changed in {VERSION}" in served.problem()
    served.serve(VERSION, version_files.look(directory, ["a", "b"]))
    assert (served.sound, served.problem()) == (True, "")


def test_what_could_not_be_verified_is_so_later(served, directory, clock):
    (directory / "a").chmod(0o600)
    served.found(served.look())
    served.refuse(Failure("no memory", passing=True))
    assert (served.wants_verification, served.refused) == (False, False)
    assert "no memory" in served.problem()
    clock[0] = 30.0
    assert served.wants_verification


def test_a_worker_may_see_a_change_before_a_look_does(served):
    served.doubt()
    assert (served.sound, served.wants_verification) == (False, True)
    # It was put back meanwhile.
    served.found(served.look())
    assert served.sound


def test_nothing_is_known_when_nothing_serves(served, directory):
    (directory / "a").unlink()
    served.found(served.look())
    served.refuse(Failure("gone"))
    served.end()
    assert served.look() is None
    assert (served.sound, served.problem()) == (True, "")
