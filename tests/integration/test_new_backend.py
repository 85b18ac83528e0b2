"""A kind of index costs a file on either side and a line in each registry."""

import numpy as np

from lightfm_retriever.publication import labels, reader
from retriever import index as retriever_index
from retriever.answering.snapshot import open_snapshot
from tests import retrievable
from tests.retrievable import Expected
from trainer import __main__ as trainer
from trainer import index as trainer_index


def test_a_kind_of_index_of_ones_own_is_tuned_published_and_served(tmp_path, monkeypatch, capsys):
    # The two lines:
    own = ("tests.new_backend.trainer_side", "SortedBackend")
    monkeypatch.setitem(trainer_index.BACKENDS, "sorted", own)
    monkeypatch.setitem(retriever_index.MODULES, "sorted", "tests.new_backend.retriever_side")

    interactions, volume = tmp_path / "interactions.csv", tmp_path / "volume"
    random = np.random.default_rng(1)
    pairs = {(user, item) for user in range(60) for item in random.choice(300, 12)}
    lines = [f"u{user},i{item}" for user, item in sorted(pairs)]
    interactions.write_text("\n".join(["user_id,item_id", *lines]))
    command = ["train", "--interactions", str(interactions), "--volume", str(volume)]
    command += ["--backend", "sorted", "--target-recall", "0.9", "--components", "4", "--epochs", "2"]
    assert trainer.main(command) == 0
    assert "sorted" in capsys.readouterr().out

    version = labels.read_label(volume, "current")
    for name, facts in reader.read_manifest(volume, version).indexes.items():
        assert (facts.backend, facts.file) == ("sorted", f"{name}.sorted")
        assert facts.recall_at_10 >= 0.9
        assert len(facts.trials) > 2
    snapshot = open_snapshot(volume, version)
    expected = Expected.of(volume, version)
    items, users = snapshot.publication.items, snapshot.publication.users
    good = asked = 0
    for user in map(users.external_id, range(20)):
        found = retrievable.recommend(snapshot, user).rows.tolist()
        scores = expected.scores(user)
        best = sorted(scores, key=lambda item: -scores[item])[: len(found)]
        good, asked = good + len({*map(items.external_id, found)} & {*best}), asked + len(found)
    assert good / asked > 0.8
