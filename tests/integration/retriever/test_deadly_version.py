"""A version that is whole by its checksums and kills whoever asks its index."""

from __future__ import annotations

import signal
import threading

import numpy as np

from lightfm_retriever.publication import labels, layout
from retriever.client import RetrieverClient
from tests import publications
from tests.load import faults, models

SIZE = models.Size()
# Far beyond the end of the map.
NOWHERE = 2**31 - 1


def make_deadly(directory):
    """Let the roots of all of Annoy's trees point to nowhere, and sign that."""
    # A node is its number of descendants, two children, and a vector.
    width = 3 + SIZE.components
    nodes = np.frombuffer((directory / faults.SIMILAR).read_bytes(), np.int32).reshape(-1, width)
    nodes = nodes.copy()
    roots = nodes[:, 0] == SIZE.items
    assert roots.sum() >= 5
    nodes[roots, 1:3] = NOWHERE
    publications.reseal(directory, faults.SIMILAR, nodes.tobytes())


class Watcher:
    """Calls without a pause, and watches how many workers take calls at the least."""

    def __init__(self, service):
        self.calls = 0
        self.fewest = len(service.status().workers)
        self._service = service
        self._versions = {service.status().version}
        self._end = threading.Event()
        self._problems = []
        self._threads = [threading.Thread(target=self._watch)]
        self._threads += [threading.Thread(target=self._call) for _ in range(2)]

    def _call(self):
        with RetrieverClient(self._service.target, connections=3) as client:
            while not self._end.is_set():
                try:
                    answer = client.recommend(models.USER_IDS[0])
                    assert answer.version in self._versions
                except Exception as error:
                    self._problems.append(error)
                self.calls += 1

    def _watch(self):
        with RetrieverClient(self._service.target) as client:
            while not self._end.is_set():
                running = [w for w in client.status().workers if w.version in self._versions]
                self.fewest = min(self.fewest, len(running))

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()
        assert self._problems == []


def test_it_is_reported_costs_one_worker_at_a_time_and_no_call(start, volume):
    service = start(volume, workers=3)
    before = service.status()
    deadly = models.publish(volume, "b", 2, SIZE).version
    make_deadly(layout.version_dir(volume, deadly))
    with Watcher(service) as watcher:
        labels.promote(volume, deadly)
        status = service.wait_until(lambda status: status.failed_versions)
        [failed] = status.failed_versions
        assert failed.version == status.last_reload.version == deadly
        assert f"ended with status {-signal.SIGSEGV} while it prepared this version" in failed.reason
        assert status.version == before.version
        # They come back, and it isn't tried once more.
        status = service.wait_until_all_serve(before.version)
    assert sum(worker.restarts for worker in status.workers) == 2
    assert watcher.fewest >= 2
    assert watcher.calls
    # Nor is anything else held up by it.
    newer = models.publish(volume, "a", 3).version
    labels.promote(volume, newer)
    status = service.wait_until_all_serve(newer)
    assert [failed.version for failed in status.failed_versions] == [deadly]


def test_one_that_kills_whoever_verifies_it_changes_nothing(start, volume):
    service = start(volume, workers=1)
    before = service.status()
    deadly = models.publish(volume, "b", 2, SIZE).version
    publications.make_deadly_id_map(layout.version_dir(volume, deadly))
    with Watcher(service) as watcher:
        labels.promote(volume, deadly)
        [failed] = service.wait_until(lambda status: status.failed_versions).failed_versions
    assert failed.version == deadly
    assert "kills the process that verifies it (SIGSEGV)" in failed.reason
    status = service.status()
    assert (status.version, status.workers[0].pid) == (before.version, before.workers[0].pid)
    assert watcher.calls
