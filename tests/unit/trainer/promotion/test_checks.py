"""Input that trains well and would ruin what is served: no label moves to it, and the run says why.

Each test publishes a good model by the command line, then tries to replace it.
"""

import json

import pytest

from lightfm_retriever.publication.labels import list_labels
from lightfm_retriever.publication.reader import list_versions
from tests import datasets
from trainer.__main__ import main

QUICK = ["--components", "4", "--epochs", "2", "--seed", "1", "--index-threads", "1"]
NOT_MOVED = 3
ITEMS = [f"i{item}" for item in range(datasets.ITEMS)]


@pytest.fixture
def volume(tmp_path, monkeypatch):
    monkeypatch.delenv("TRAINER_VOLUME", raising=False)
    return tmp_path / "volume"


@pytest.fixture
def train(volume, capsys):
    """Train quickly; returns the exit status and all that was printed."""

    def train(*arguments):
        status = main(["train", *map(str, arguments), *QUICK, "--volume", str(volume)])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return train


@pytest.fixture
def good(tmp_path):
    return ["--interactions", datasets.write_rows(tmp_path / "good.csv")]


def items_file(tmp_path, prices, ids=ITEMS):
    columns = {"item_id": ids, "price": prices, "title": [f"Film {own}" for own in ids]}
    return datasets.write_csv(tmp_path / "items.csv", columns)


def test_what_is_kept_is_told_and_what_is_not_stops_the_run(good, train, volume, tmp_path):
    prices = [f"{number}.5" for number in range(datasets.ITEMS)]
    good += ["--items", items_file(tmp_path, prices), "--item-attributes", "price"]
    assert train(*good)[0] == 0
    [serving] = list_versions(volume)
    gates = json.loads(train(*good, "--label", "other", "--json")[1])["gates"]
    assert [gate["name"] for gate in gates] == [
        *("min_users_kept", "min_items_kept", "interactions", "weight", "min_pairs_kept"),
        *("attributes", "titles", "evaluated_users", "min_recall", "precision_kept"),
    ]
    assert all(gate["passed"] for gate in gates)
    assert gates[0]["text"] == f"24 of 24 users of version {serving} are kept by id (100.0%)"
    assert (gates[0]["measured"], gates[0]["required"]) == (1.0, 0.5)
    items_file(tmp_path, ["on request", *prices[1:]])
    status, said = train(*good)
    assert status == 1
    assert "'price' was number and is text now, such as 'on request' of item 'i0'" in said
    rows = [(f"{user}.0", item, weight) for user, item, weight in datasets.rows()]
    changed = ["--interactions", datasets.write_rows(tmp_path / "changed.csv", rows)]
    status, said = train(*changed, "--canary")
    assert status == 1
    assert "label 'current' names and label 'canary' is compared with" in said
    assert "0 of 24 users" in said
    assert "whole numbers became decimals" in said
    status, said = train(*changed, "--allow-different-data", "--max-relative-loss", "0.9")
    assert status == NOT_MOVED
    assert "knows none of the" in said
    assert list_labels(volume)["current"] == serving
    assert train(*changed, "--allow-different-data")[0] == 0


def test_features_of_other_ids_are_told_of(good, train, tmp_path):
    none, few = [own.removeprefix("i") for own in ITEMS], [f"item-{number}" for number in range(40)]
    for ids, status, said in (
        (none, 1, "none of its 16 items is in the interactions: '0' here is 'i0' in"),
        ([ITEMS[0], *few], 0, "warning: only 1 of 41 items of items.csv are in the interactions"),
    ):
        others = items_file(tmp_path, ["1"] * len(ids), ids)
        found, printed = train(*good, "--items", others, "--item-features", "price")
        assert found == status
        assert said in printed


def test_nothing_that_nobody_was_evaluated_of_takes_the_label(train, volume, tmp_path):
    tiny = ["--interactions", datasets.write_rows(tmp_path / "tiny.csv", [("u", "i", 1.0)])]
    status, said = train(*tiny, "--split", "none")
    assert status == NOT_MOVED
    assert "gate FAILED: no user was evaluated" in said
    assert "no label moved" in said
    assert len(list_versions(volume)) == 1
    # Without a label to move nothing is amiss.
    assert train(*tiny, "--split", "none", "--no-label")[0] == 0
    assert list_labels(volume) == {}
    assert train(*tiny, "--split", "none", "--allow-unevaluated")[0] == 0
    assert list_labels(volume).keys() == {"current"}
