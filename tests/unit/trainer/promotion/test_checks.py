"""Input that trains well and would ruin what is served: no label moves to it, and the run says why.

Each test publishes a good model by the command line, then tries to replace it.
"""

from __future__ import annotations

import json

import pytest

from lightfm_retriever.publication.labels import list_labels
from lightfm_retriever.publication.reader import list_versions
from tests import datasets
from trainer.__main__ import main
from trainer.event_log.log import Event, EventLog

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
def good(train, tmp_path, volume):
    """Flags of a good input, and the version of it that the label names."""
    flags = ["--interactions", datasets.write_rows(tmp_path / "good.csv")]
    status, said = train(*flags)
    assert status == 0, said
    return flags, list_labels(volume)["current"]


def test_an_event_log_of_two_events_does_not_replace_a_good_model(good, train, volume):
    _, serving = good
    with EventLog(volume.with_name("volume.trainer") / "events") as log:
        log.append([Event("1", "u1", "i1"), Event("2", "u2", "i2")])
    status, said = train("--event-log")
    assert status == 1
    assert "2 of 24 users" in said
    assert "2 interactions" in said
    assert list_labels(volume) == {"current": serving}
    assert list_versions(volume) == [serving]
    # Who wants it can have it, as the message says.
    assert "--allow-different-data" in said
    flags = ["--allow-different-data", "--allow-unevaluated", "--split", "none"]
    assert train("--event-log", *flags)[0] == 0


def test_ids_that_changed_form_stop_the_run_and_are_no_pass_where_they_are_allowed(
    good, train, volume, tmp_path
):
    _, serving = good
    rows = [(f"{user}.0", item, weight) for user, item, weight in datasets.rows()]
    changed = ["--interactions", datasets.write_rows(tmp_path / "changed.csv", rows)]
    status, said = train(*changed, "--canary")
    assert status == 1
    assert "label 'current' names and label 'canary' is held against" in said
    assert "0 of 24 users" in said
    assert "whole numbers became decimals" in said
    status, said = train(*changed, "--allow-different-data", "--max-relative-loss", "0.9")
    assert status == NOT_MOVED
    assert "knows none of the" in said
    assert list_labels(volume) == {"current": serving}


def items_file(tmp_path, prices, *, ids=ITEMS):
    columns = {"item_id": ids, "price": prices, "title": [f"Film {own}" for own in ids]}
    return datasets.write_csv(tmp_path / "items.csv", columns)


def test_a_number_attribute_that_becomes_text_stops_the_run(good, train, volume, tmp_path):
    flags, _ = good
    prices = [f"{number}.5" for number in range(datasets.ITEMS)]
    with_prices = [*flags, "--items", items_file(tmp_path, prices), "--item-attributes", "price"]
    assert train(*with_prices)[0] == 0
    serving = list_labels(volume)["current"]
    items_file(tmp_path, ["on request", *prices[1:]])
    status, said = train(*with_prices)
    assert status == 1
    assert "'price' was number and is text now, such as 'on request' of item 'i0'" in said
    assert list_labels(volume) == {"current": serving}


@pytest.mark.parametrize(
    ("ids", "status", "said"),
    [
        (
            [own.removeprefix("i") for own in ITEMS],
            1,
            "none of its 16 items is in the interactions: '0' here is 'i0' in",
        ),
        (
            [ITEMS[0], *(f"item-{number}" for number in range(40))],
            0,
            "warning: only 1 of 41 items of items.csv are in the interactions",
        ),
    ],
    ids=["none", "one"],
)
def test_features_of_other_ids_are_told_of(train, tmp_path, ids, status, said):
    flags = ["--interactions", datasets.write_rows(tmp_path / "good.csv")]
    others = items_file(tmp_path, ["1"] * len(ids), ids=ids)
    found, printed = train(*flags, "--items", others, "--item-features", "price")
    assert found == status
    assert said in printed


def test_nothing_that_nobody_was_evaluated_of_takes_the_label(train, volume, tmp_path):
    tiny = ["--interactions", datasets.write_rows(tmp_path / "tiny.csv", [("u", "i", 1.0)])]
    status, said = train(*tiny, "--split", "none")
    assert status == NOT_MOVED
    assert "gate FAILED: nobody was evaluated" in said
    assert "no label moved" in said
    assert len(list_versions(volume)) == 1
    # Without a label to move nothing is amiss.
    assert train(*tiny, "--split", "none", "--no-label")[0] == 0
    assert list_labels(volume) == {}
    assert train(*tiny, "--split", "none", "--allow-unevaluated")[0] == 0
    assert list_labels(volume).keys() == {"current"}


def test_what_is_kept_is_told_each_time(good, volume, capsys):
    flags, serving = good
    command = ["train", *map(str, flags), *QUICK, "--volume", str(volume), "--json"]
    assert main(command) == 0
    gates = json.loads(capsys.readouterr().out)["gates"]
    assert [gate["name"] for gate in gates] == [
        *("min_users_kept", "min_items_kept", "interactions", "weight", "min_pairs_kept"),
        *("evaluated_users", "min_recall", "precision_kept"),
    ]
    assert all(gate["passed"] for gate in gates)
    assert gates[0]["text"] == f"24 of 24 users of version {serving} are kept by id (100.0%)"
    assert (gates[0]["measured"], gates[0]["required"]) == (1.0, 0.5)
    assert gates[3]["text"].startswith("the weights above 0 sum to")
