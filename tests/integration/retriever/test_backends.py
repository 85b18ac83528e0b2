"""Services whose publications have indexes of other backends."""

import contextlib
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication.labels import promote
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
