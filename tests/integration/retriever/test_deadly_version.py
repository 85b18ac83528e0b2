"""A version that is whole by its checksums and kills whoever asks its index."""

import signal

import numpy as np

from lightfm_retriever.publication import labels, layout
from tests import publications
from tests.load import callers, faults, models
from tests.service import PATIENCE

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


def test_it_is_reported_costs_one_worker_at_a_time_and_no_call(start, volume, tmp_path):
    service = start(volume, workers=3)
    before = service.status()
    deadly = models.publish(volume, "b", 2, SIZE).version
    make_deadly(layout.version_dir(volume, deadly))
    running = []

    def note(status):
        running.append(sum(worker.version == before.version for worker in status.workers))
        return status

    plan = callers.Plan(plain=0, careful=2, calls_per_second=300, timeout_seconds=PATIENCE)
    with callers.Callers(service.target, plan, tmp_path / "calls") as process:
        labels.promote(volume, deadly)
        status = service.wait_until(lambda status: note(status).failed_versions)
        [failed] = status.failed_versions
        assert failed.version == status.last_reload.version == deadly
        assert f"ended with status {-signal.SIGSEGV} while it prepared this version" in failed.reason
        assert status.version == before.version
        # They come back, and it isn't tried once more.
        status = service.wait_until(lambda status: note(status) and running[-1] == 3)
        assert {(call.code, call.version) for call in process.stop()} == {("OK", before.version)}
    assert sum(worker.restarts for worker in status.workers) == 2
    assert min(running) >= 2
    # Nor is anything else held up by it.
    newer = models.publish(volume, "a", 3).version
    labels.promote(volume, newer)
    status = service.wait_until_all_serve(newer)
    assert [failed.version for failed in status.failed_versions] == [deadly]
