"""Vectors of any model, from files to answers: `publish` and a real retriever."""

from __future__ import annotations

from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication.labels import list_labels
from lightfm_retriever.publication.verification import verify
from tests.other_model import ITEM_IDS, USER_IDS, USERS, Model, publisher
from tests.retrievable import assert_best
from tests.service import PATIENCE, Service


def test_users_are_recommended_what_their_and_the_items_vectors_say(capsys, tmp_path):
    model = Model(tmp_path)
    made = publisher(tmp_path / "volume", capsys)(
        *model.flags(), "--backend", "annoy", "--target-recall", 0.9
    )
    recall = made["indexes"]["recommend"]["recall_at_10"]
    assert recall >= 0.9
    volume, version = tmp_path / "volume", made["version"]
    assert verify(volume, version).users == USERS
    assert list_labels(volume) == {"current": version}
    with Service(volume, tmp_path / "log", workers=1) as service:
        service.wait_until_all_serve(version)
        stub = service.stub()
        found = 0
        for user in USER_IDS:
            request = pb.RecommendRequest(user_id=user, exact=True)
            answer = stub.Recommend(request, timeout=PATIENCE)
            assert answer.version == version
            scores = model.scores(user)
            assert_best(answer.items, scores)
            best = sorted(scores, key=scores.get)[:-11:-1]
            assert [one.item_id for one in answer.items] == best
            answer = stub.Recommend(pb.RecommendRequest(user_id=user), timeout=PATIENCE)
            found += len({*best} & {one.item_id for one in answer.items})
            request = pb.RecommendRequest(user_id=user, exclude_seen=False, limit=3, exact=True)
            assert_best(
                stub.Recommend(request, timeout=PATIENCE).items, model.scores(user, seen=True), 3
            )
        # These are the very queries that it was measured with. So few items are scored whole.
        assert found / (10 * USERS) >= recall - 1e-3
        for item in ITEM_IDS[::30]:
            request = pb.SimilarItemsRequest(
                item_id=item, return_attributes={"paths": ["title"]}, exact=True
            )
            similar = stub.SimilarItems(request, timeout=PATIENCE)
            assert_best(similar.items, model.cosines(item))
            assert all(one.title == f"Title of {one.item_id}" for one in similar.items)
