"""Services whose publications have indexes of other backends, and of ones that aren't installed."""

import contextlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import promote
from lightfm_retriever.publication.search_effort import TUNED_FOR
from tests import retrievable
from tests.retrievable import Expected, assert_best
from tests.service import PATIENCE

BACKENDS = ("annoy", "exact", "faiss", "nmslib")
ITEMS = retrievable.ids(retrievable.ODD_ITEM_IDS, 40)
USERS = retrievable.ids(retrievable.ODD_USER_IDS, 12)


def keep_asking(stub, volume, end):
    """Both calls without a pause until the end: which versions answered, each with what it should."""
    versions, numbers = set(), itertools.count()
    # A little time for the process that verifies, which makes way for calls.
    while not end.wait(0.005):
        number = next(numbers)
        user_id, item_id = USERS[number % len(USERS)], ITEMS[number % len(ITEMS)]
        recommended = stub.Recommend(pb.RecommendRequest(user_id=user_id), timeout=PATIENCE)
        similar = stub.SimilarItems(pb.SimilarItemsRequest(item_id=item_id), timeout=PATIENCE)
        assert_best(recommended.items, Expected.of(volume, recommended.version).scores(user_id))
        assert_best(similar.items, Expected.of(volume, similar.version).cosines(item_id))
        versions |= {recommended.version, similar.version}
    return versions


def test_each_backend_follows_on_each_other_answers_every_id_and_fails_no_call(start, tmp_path):
    """One process holds them one after the other: their libraries get along."""
    versions = {
        backend: retrievable.publish(tmp_path, seed=seed, backend=backend, label=None)
        for seed, backend in enumerate(BACKENDS)
    }
    promote(tmp_path, versions["annoy"])
    service, end = start(tmp_path), threading.Event()
    # More than there are threads, over both workers; they never try again by themselves.
    stubs = [service.stub() for _ in range(8)]
    with ThreadPoolExecutor(len(stubs)) as pool, contextlib.ExitStack() as asking:
        asked = [pool.submit(keep_asking, own, tmp_path, end) for own in stubs]
        asking.callback(end.set)
        for backend in ("faiss", "nmslib", "exact", "annoy", "nmslib", "faiss", "annoy"):
            promote(tmp_path, versions[backend])
            service.wait_until_all_serve(versions[backend])
            stub, expected = service.stub(), Expected.of(tmp_path, versions[backend])
            for item_id in ITEMS:
                answer = stub.SimilarItems(pb.SimilarItemsRequest(item_id=item_id), timeout=PATIENCE)
                assert_best(answer.items, expected.cosines(item_id))
                assert answer.version == versions[backend]
            for user_id in USERS:
                for limit in (1, 1000):
                    request = pb.RecommendRequest(user_id=user_id, limit=limit)
                    answer = stub.Recommend(request, timeout=PATIENCE)
                    assert_best(answer.items, expected.scores(user_id), limit)
    assert set().union(*(own.result() for own in asked)) == {*versions.values()}
    status = service.status()
    assert [worker.restarts for worker in status.workers] == [0, 0]
    assert not status.failed_versions
    assert service.terminate() == 0


# ---- what a worker holds of an index


def private_dirty(pid):
    """Bytes that a process has for itself alone and that no file holds."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
    [kilobytes] = [int(line.split()[1]) for line in lines if line.startswith("Private_Dirty:")]
    return kilobytes * 1024


LARGE = {"items": 20_000, "components": 128}
SETTINGS = {
    "annoy": ({"trees": 3}, {"search_k": 100, "candidates": TUNED_FOR}),
    "faiss": ({"lists": 50, "codes": "SQfp16"}, {"probes": 2, "candidates": 15}),
    "nmslib": ({"M": 8, "efConstruction": 10}, {"ef": 10, "candidates": TUNED_FOR}),
}


def test_workers_share_an_index_that_is_mapped(start, tmp_path):
    retrievable.publish(tmp_path)
    service = start(tmp_path)
    for backend, (build, query) in SETTINGS.items():
        # Whatever the library takes for itself it has taken with a small one.
        service.wait_until_all_serve(retrievable.publish(tmp_path, backend=backend))
        before = {pid: private_dirty(pid) for pid in service.worker_pids()}
        large = retrievable.publish(tmp_path, backend=backend, build=build, query=query, **LARGE)
        # By then they have searched it, to warm up.
        service.wait_until_all_serve(large)
        files = layout.version_dir(tmp_path, large).glob(f"*.{backend}")
        size = sum(path.stat().st_size for path in files)
        assert size > 10_000_000
        for pid, earlier in before.items():
            # As the documentation says: the price of NMSLIB's speed.
            assert (private_dirty(pid) - earlier > size / 2) == (backend == "nmslib")
