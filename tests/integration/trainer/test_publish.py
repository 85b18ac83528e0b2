"""Vectors of any model, from files to answers: `publish` and a real retriever."""

import json

import grpc
import numpy as np
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.publication.labels import list_labels, read_label
from lightfm_retriever.publication.verification import verify
from tests import datasets
from tests.retrievable import assert_best
from tests.service import PATIENCE, Service
from trainer.__main__ import main

ITEMS, USERS, DIMENSIONS = 300, 25, 6
ITEM_IDS = [f"item {(7 * row) % ITEMS} – 映画" for row in range(ITEMS)]
USER_IDS = [f"user{(3 * row) % USERS}" for row in range(USERS)]


class Model:
    """Vectors of some other model, in files."""

    def __init__(self, folder):
        random = np.random.default_rng(1)
        self.folder = folder
        self.items = random.normal(size=(ITEMS, DIMENSIONS))
        self.users = random.normal(size=(USERS, DIMENSIONS))
        self.item_biases = random.normal(size=ITEMS)
        self.user_biases = random.normal(size=USERS)
        # The best of all and seven others.
        self.seen = {user: {self.best(user, seen=True)} for user in USER_IDS}
        for its in self.seen.values():
            its.update(random.permutation([one for one in ITEM_IDS if one not in its])[:7].tolist())
        arrays = {"items": np.asfortranarray(self.items), "users": self.users.astype(np.float32)}
        arrays |= {"item_biases": self.item_biases, "user_biases": self.user_biases}
        for name, array in arrays.items():
            np.save(folder / f"{name}.npy", array)
        for name, ids in (("items", ITEM_IDS), ("users", USER_IDS)):
            (folder / f"{name}.txt").write_bytes("\r\n".join(ids).encode("utf-8-sig"))
        seen = [(user, item, 1.0) for user, its in self.seen.items() for item in its]
        datasets.write_rows(folder / "seen.parquet", [*seen, ("stranger", ITEM_IDS[0], 1.0)])
        # What the vectors say, so that they are found.
        held_out = [(user, self.best(user), 1.0) for user in USER_IDS]
        datasets.write_rows(folder / "held_out.csv", held_out)
        columns = {"item_id": ITEM_IDS, "title": [f"Title of {one}" for one in ITEM_IDS]}
        datasets.write(folder / "titles.csv", columns)

    def flags(self, *, users=True):
        names = {"item-vectors": "items.npy", "item-ids": "items.txt", "items": "titles.csv"}
        if users:
            names |= {
                "item-biases": "item_biases.npy",
                "user-vectors": "users.npy",
                "user-ids": "users.txt",
                "user-biases": "user_biases.npy",
                "seen": "seen.parquet",
                "held-out": "held_out.csv",
            }
        return [part for name, file in names.items() for part in (f"--{name}", self.folder / file)]

    def scores(self, user_id, *, seen=False):
        """Each item's score, without those that the user has seen."""
        user = USER_IDS.index(user_id)
        scores = self.items @ self.users[user] + self.user_biases[user] + self.item_biases
        left_out = () if seen else self.seen[user_id]
        scored = zip(ITEM_IDS, scores.tolist(), strict=True)
        return {item: score for item, score in scored if item not in left_out}

    def best(self, user_id, *, seen=False):
        """The item with the highest score."""
        scores = self.scores(user_id, seen=seen)
        return max(scores, key=scores.get)

    def cosines(self, item_id):
        """Each other item's cosine."""
        unit = self.items / np.linalg.norm(self.items, axis=1, keepdims=True)
        cosines = unit @ unit[ITEM_IDS.index(item_id)]
        found = dict(zip(ITEM_IDS, cosines.tolist(), strict=True))
        del found[item_id]
        return found


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def publish(capsys, tmp_path):
    """Publishes to a volume; returns what was printed as JSON."""

    def publish(*arguments):
        flags = ["--volume", tmp_path / "volume", "--seed", 1, "--index-threads", 1, "--json"]
        status = main(["publish", *map(str, [*arguments, *flags])])
        printed = capsys.readouterr()
        assert (status, printed.err) == (0, "")
        return json.loads(printed.out)

    return publish


def test_users_are_recommended_what_their_and_the_items_vectors_say(model, publish, tmp_path):
    made = publish(*model.flags(), "--backend", "annoy", "--target-recall", 0.9)
    recall, metrics = made["indexes"]["recommend"]["recall_at_10"], made["metrics"]
    assert recall >= 0.9
    # Each user's best item is held out, and the only one; of the 299 others one is better at the least.
    assert metrics["evaluated_users"] == made["dataset"]["test_interactions"] == USERS
    assert metrics["test_precision_at_10_unseen"] == pytest.approx(0.1)
    assert metrics["test_auc_unseen"] == pytest.approx(1)
    assert 0.9 < metrics["test_auc"] < 298.1 / 299
    assert made["dataset"]["train_interactions"] == 8 * USERS
    assert list(made["seconds"]) == ["read", "index", "publish", "verify", "gates"]
    assert made["warnings"][0].startswith(
        f"1 of {8 * USERS + 1} rows of {model.folder}/seen.parquet have"
    )
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
            answer = stub.Recommend(request, timeout=PATIENCE)
            assert_best(answer.items, model.scores(user, seen=True), 3)
        # These are the very queries that it was measured with. So few items are scored whole.
        assert found / (10 * USERS) >= recall - 1e-3
        for item in ITEM_IDS[::30]:
            title = {"paths": ["title"]}
            request = pb.SimilarItemsRequest(item_id=item, return_attributes=title, exact=True)
            similar = stub.SimilarItems(request, timeout=PATIENCE)
            assert_best(similar.items, model.cosines(item))
            assert all(one.title == f"Title of {one.item_id}" for one in similar.items)


def test_items_alone_are_served_as_similar_ones(model, publish, tmp_path):
    flags = ["--backend", "exact", "--label", "canary", "--allow-unevaluated"]
    made = publish(*model.flags(users=False), *flags)
    assert (made["users"], made["metrics"]) == (0, {})
    assert made["warnings"] == [
        "index 'recommend' was measured with items as queries, since there are no users"
    ]
    volume = tmp_path / "volume"
    assert read_label(volume, "canary") == made["version"]
    with Service(volume, tmp_path / "log", workers=1, label="canary") as service:
        service.wait_until_all_serve(made["version"])
        stub = service.stub()
        for item in ITEM_IDS[::30]:
            similar = stub.SimilarItems(pb.SimilarItemsRequest(item_id=item), timeout=PATIENCE)
            assert_best(similar.items, model.cosines(item))
        with pytest.raises(grpc.RpcError) as caught:
            stub.Recommend(pb.RecommendRequest(user_id=USER_IDS[0]), timeout=PATIENCE)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
