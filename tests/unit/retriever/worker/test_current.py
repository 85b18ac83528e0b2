from __future__ import annotations

import threading
import weakref

import pytest

from retriever.errors import NothingLoadedError
from retriever.worker.current import CurrentSnapshot
from tests import retrievable


def snapshot(version):
    return retrievable.snapshot([[1, 2]], [[1, 2]], version=version)


def test_at_first_there_is_none_and_the_error_says_so():
    current = CurrentSnapshot()
    assert current.version == ""
    with pytest.raises(NothingLoadedError, match="no publication is loaded: none was committed"):
        current.get()


def test_the_one_that_was_swapped_in_last_is_current():
    current = CurrentSnapshot()
    for version in ("one", "two", "one"):
        swapped = snapshot(version)
        current.swap(swapped)
        assert current.get() is swapped
        assert current.version == version


def test_a_request_keeps_the_one_it_took_and_nobody_else_does():
    current = CurrentSnapshot()
    current.swap(snapshot("old"))
    taken = current.get()
    gone = weakref.ref(taken)
    current.swap(snapshot("new"))
    assert taken.version == "old"
    del taken
    assert gone() is None


def test_readers_see_one_or_the_other_while_it_is_swapped():
    current = CurrentSnapshot()
    both = [snapshot("old"), snapshot("new")]
    current.swap(both[0])
    stop = threading.Event()
    seen: list[set[int]] = []

    def read():
        found = set()
        while not stop.is_set():
            found.add(id(current.get()))
        seen.append(found)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for turn in range(2000):
        current.swap(both[turn % 2])
    stop.set()
    for reader in readers:
        reader.join()
    assert len(seen) == 3
    assert set.union(*seen) <= {id(each) for each in both}
