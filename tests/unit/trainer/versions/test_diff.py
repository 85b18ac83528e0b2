import json
from dataclasses import asdict, astuple, replace

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import Attributes, NumberColumn, TextColumn
from lightfm_retriever.publication.errors import MismatchError
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.vectors.vector_space import fold_biases, row_norms
from lightfm_retriever.publication.writer import Staging
from tests import publications
from tests.retrievable import ragged
from trainer.versions.diff import diff

ITEMS = [f"i{number:02}" for number in range(20)]


def publish(volume, rankings, *, seen=None, attributes=None, recall=1.0, **facts):
    """Publish a version whose users, by name, have such rankings of all items, best first."""
    users, items = IdMap.build(rankings), IdMap.build(next(iter(rankings.values())))
    scores = np.zeros((len(users), len(items)), dtype=np.float32)
    for user, names in rankings.items():
        scores[users.row(user), items.rows(names)] = range(len(names), 0, -1)
    # An item for each dimension.
    vectors = np.eye(len(items), dtype=np.float32)
    own = [(seen or {}).get(users.external_id(row), ()) for row in range(len(users))]
    seen_rows = [sorted(items.rows(names)) for names in own]
    with Staging(volume) as staging:
        staging.add_id_map(layout.ITEM_IDS, items)
        staging.add_id_map(layout.USER_IDS, users)
        staging.add_array(layout.ITEM_VECTORS, fold_biases(vectors, vectors[0] * 0))
        staging.add_array(layout.ITEM_NORMS, row_norms(vectors))
        staging.add_array(layout.USER_VECTORS, fold_biases(scores, np.ones(len(users), np.float32)))
        staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, ragged(seen_rows))
        if attributes is not None:
            staging.add_attributes(attributes)
            facts["attributes"] = [*attributes.facts]
        indexes = {
            name: replace(own, items=len(items), file=None, backend="exact", recall_at_10=recall)
            for name, own in publications.facts().indexes.items()
        }
        counts = {"items": len(items), "users": len(users), "components": len(items)}
        return staging.publish(publications.facts(indexes=indexes, **counts, **facts)).version


def test_top_tens_are_compared_by_id_and_without_what_each_version_says_was_seen(tmp_path):
    before = publish(tmp_path, dict.fromkeys(["same", "shifted", "turned", "seen", "lost"], ITEMS))
    # Another first item moves all rows.
    named = ["a", *ITEMS]
    after = publish(
        tmp_path,
        {
            "same": [*ITEMS, "a"],
            "shifted": ["a", *ITEMS[7:], *ITEMS[:7]],
            "turned": named[::-1],
            "seen": [*ITEMS, "a"],
            "new": named,
        },
        seen={"seen": ITEMS[:4]},
    )
    overlap = diff(tmp_path, before, after, seed=1, by_user=True).overlap
    # i07, i08 and i09 are left of the shifted one's; the fourth has seen four of them since.
    assert overlap.by_user == {"same": 10, "shifted": 3, "turned": 0, "seen": 6}
    assert (overlap.users, overlap.mean, overlap.median, overlap.min) == (4, 4.75, 4.5, 0)
    assert diff(tmp_path, before, after, seed=1).overlap.by_user == {}


def test_metrics_settings_indexes_and_attributes_are_told(tmp_path):
    def made(kinds, **facts):
        columns = [
            TextColumn(own, [["x"]] * 20) if kind == "text" else NumberColumn(own, np.ones(20))
            for own, kind in kinds.items()
        ]
        return publish(tmp_path, {"u": ITEMS}, attributes=Attributes.build(columns, 20), **facts)

    before = made(
        {"genres": "text", "year": "text", "gone": "number"},
        metrics={"auc": 0.5, "gone": 1.0},
        hyperparameters={"a": 1, "b": "x"},
    )
    after = made(
        {"year": "number", "genres": "text", "new": "text"},
        metrics={"auc": 0.75, "new": 2.0},
        hyperparameters={"a": 1, "b": "y", "c": None, "d": True},
        recall=0.5,
    )
    found = diff(tmp_path, before, after, seed=1)
    assert (found.before, found.after) == (before, after)
    kinds = (found.metrics, found.hyperparameters, found.attributes, found.indexes)
    metrics, settings, attributes, indexes = ([*map(astuple, kind)] for kind in kinds)
    assert metrics == [("auc", 0.5, 0.75), ("gone", 1.0, None), ("new", None, 2.0)]
    assert settings == [("b", "x", "y"), ("d", None, True)]
    assert attributes == [("year", "text", "number"), ("gone", "number", None), ("new", None, "text")]
    told = {("recommend.recall_at_10", 1.0, 0.5), ("similar.backend", "exact", "exact")}
    assert {*indexes} >= {*told, ("similar.bytes", 0, 0)}


def test_users_are_drawn_by_the_seed_from_those_of_both_and_new_and_lost_ids_are_counted(tmp_path):
    names = [f"u{number:02}" for number in range(60)]
    before = publish(tmp_path, dict.fromkeys(names[:30], ITEMS))
    after = publish(tmp_path, {name: [*ITEMS[5:], "new"] for name in names[10:]})
    found = diff(tmp_path, before, after, seed=1)
    assert [*astuple(found.items)] == [20, 16, 1, 5, ["new"], ITEMS[:5]]
    # Of many some are named.
    *counts, new, lost = astuple(found.users)
    assert (counts, lost) == ([30, 50, 30, 10], names[:10])
    assert len({*new} & {*names[30:]}) == len(new) == 20
    drawn = [
        sorted(diff(tmp_path, before, after, users=5, seed=seed, by_user=True).overlap.by_user)
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]
    assert all(len(names) == 5 for names in drawn)
    assert {*drawn[0], *drawn[2]} <= {*names[10:30]}
    assert diff(tmp_path, before, after, users=200, seed=1).overlap.users == 20
    assert diff(tmp_path, before, publish(tmp_path, {"v": ITEMS}), seed=1).overlap is None


def test_a_difference_can_be_written_as_json_and_a_damaged_version_is_named(tmp_path):
    before, after = (publications.publish(tmp_path, seed=seed) for seed in (1, 2))
    found = asdict(diff(tmp_path, before, after, seed=1, by_user=True))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    sizes = {change["name"]: change["after"] for change in found["indexes"]}
    assert (sizes["similar.bytes"], sizes["recommend.bytes"]) == (1000, 1200)
    path = layout.version_dir(tmp_path, after) / layout.USER_IDS
    publications.overwrite(path, path.read_bytes()[::-1])
    with pytest.raises(MismatchError, match=rf"{after}.*users\.trie: SHA-256"):
        diff(tmp_path, before, after, seed=1)
