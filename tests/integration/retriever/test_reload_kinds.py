"""Versions of different kinds of models change places under a service that is called."""

import itertools
import threading
from pathlib import Path

import grpc
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.labels import promote
from tests import retrievable
from tests.retrievable import ODD_ITEM_IDS, Expected, assert_best
from tests.service import PATIENCE

USERS = ["Ünal", "用户", "0", "5", "8"]
ITEMS = ["東京", "7", *ODD_ITEM_IDS[:2]]


class Caller(threading.Thread):
    """Asks for users and items in turn until it is told to end; keeps every answer or error."""

    def __init__(self, stub):
        super().__init__(daemon=True)
        self._stub = stub
        self._ending = threading.Event()
        self.users = []
        self.items = []
        self.errors = []

    def run(self):
        for user_id, item_id in itertools.product(USERS, ITEMS * 10_000):
            if self._ending.is_set():
                return
            try:
                # A longer call, on another thread of the worker, is no exception.
                for more in ({}, {"exact": True}, {"search_effort": 2.0}):
                    user = pb.RecommendRequest(user_id=user_id, **more)
                    self.users.append((user_id, self._stub.Recommend(user, timeout=PATIENCE)))
                    item = pb.SimilarItemsRequest(item_id=item_id, **more)
                    self.items.append((item_id, self._stub.SimilarItems(item, timeout=PATIENCE)))
            except grpc.RpcError as error:
                self.errors.append(error)

    def end(self):
        self._ending.set()
        self.join(PATIENCE)


def test_no_call_fails_or_mixes_while_vectors_and_neighbours_change_places(start, tmp_path):
    volume = tmp_path / "volume"
    vectors = retrievable.publish(volume, backend="annoy")
    service = start(volume)
    versions = [retrievable.publish_item_item(volume, seed=2, label=None)]
    versions += [retrievable.publish(volume, seed=3, backend="exact", label=None)]
    versions += [retrievable.publish_item_item(volume, seed=4, label=None), vectors]
    callers = [Caller(service.stub()) for _ in range(3)]
    for caller in callers:
        caller.start()
    for version in [*versions, *versions]:
        promote(volume, version)
        service.wait_until_all_serve(version)
    for caller in callers:
        caller.end()
    assert [error for caller in callers for error in caller.errors] == []
    users = [answer for caller in callers for answer in caller.users]
    items = [answer for caller in callers for answer in caller.items]
    for answers, best in ((users, Expected.scores), (items, Expected.cosines)):
        assert {answer.version for _, answer in answers} == {*versions}
        for asked, answer in answers:
            assert_best(answer.items, best(Expected.of(volume, answer.version), asked))


def test_a_version_of_neighbours_is_mapped_and_answers_what_needs_no_vectors(start, tmp_path):
    volume = tmp_path / "volume"
    version = retrievable.publish_item_item(volume)
    service = start(volume)
    stub = service.stub()
    expected = Expected.of(volume, version)
    for user_id in USERS:
        user = stub.Recommend(pb.RecommendRequest(user_id=user_id, explain=True), timeout=PATIENCE)
        assert_best(user.items, expected.scores(user_id))
        assert (user.version, user.method) == (version, pb.SEARCH_METHOD_EXACT)
        publication = expected.publication
        rows = publication.seen[publication.users.row(user_id)].tolist()
        session = {"item_ids": [publication.items.external_id(row) for row in rows]}
        if rows:
            same = pb.RecommendRequest(session=session, explain=True)
            assert stub.Recommend(same, timeout=PATIENCE).items == user.items
    batch = pb.BatchRecommendRequest(requests=[pb.RecommendRequest(user_id=own) for own in USERS])
    results = stub.BatchRecommend(batch, timeout=PATIENCE).results
    for user_id, result in zip(USERS, results, strict=True):
        assert_best(result.response.items, expected.scores(user_id))
    refused = {
        "features of users": pb.RecommendRequest(features={"features": ["age:7"]}),
        "vectors, which diversity needs": pb.RecommendRequest(user_id="5", diversity=0.5),
    }
    for what, request in refused.items():
        with pytest.raises(grpc.RpcError, match="ease, is an item-item model") as caught:
            stub.Recommend(request, timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
        assert what in caught.value.details()
        assert b"ease" in dict(caught.value.trailing_metadata())["grpc-status-details-bin"]
    files = {path.name for path in layout.version_dir(volume, version).iterdir()} - {layout.MANIFEST}
    for pid in service.worker_pids():
        mapped = Path(f"/proc/{pid}/maps").read_text()
        assert [name for name in files if f"{version}/{name}" not in mapped] == []
    assert service.terminate() == 0
