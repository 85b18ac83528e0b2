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
USERS = [f"u{user}" for user in range(datasets.USERS)]
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


def rows_as(write):
    return [(write(user), item, weight) for user, item, weight in datasets.rows()]


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


@pytest.mark.parametrize(
    ("write", "why"),
    [
        ("{}.0".format, "whole numbers became decimals"),
        ("shop-{}".format, "prefix 'shop-' was added"),
        (str.upper, "they are in upper case"),
    ],
)
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_ids_that_changed_form_stop_the_run_and_are_shown(
    good, train, volume, tmp_path, write, why, suffix
):
    _, serving = good
    changed = datasets.write_rows(tmp_path / f"changed.{suffix}", rows_as(write))
    status, said = train("--interactions", changed, "--max-relative-loss", "0.9")
    assert status == 1
    assert "0 of 24 users" in said
    assert why in said
    assert list_labels(volume) == {"current": serving}
    # A comparison without users in common is no pass.
    allowed = ["--allow-different-data", "--max-relative-loss", "0.9"]
    status, said = train("--interactions", changed, *allowed)
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
    assert "'price' was number and is text now" in said
    assert list_labels(volume) == {"current": serving}


def test_features_of_other_ids_are_refused_with_both_forms(good, train, volume, tmp_path):
    flags, serving = good
    others = items_file(tmp_path, ["1"] * datasets.ITEMS, ids=[own.removeprefix("i") for own in ITEMS])
    status, said = train(*flags, "--items", others, "--item-features", "price")
    assert status == 1
    assert "items.csv: none of its 16 items is in the interactions" in said
    assert "prefix 'i' was added" in said
    assert list_labels(volume) == {"current": serving}


def test_features_of_few_ids_are_warned_of_with_both_forms(good, train, tmp_path):
    flags, _ = good
    ids = [ITEMS[0], *(f"item-{number}" for number in range(40))]
    status, said = train(*flags, "--items", items_file(tmp_path, ["1"] * len(ids), ids=ids))
    assert status == 0
    assert "warning: only 1 of 41 items of items.csv are in the interactions" in said
    assert "'item-" in said


@pytest.mark.parametrize("rows", [[("u", "i", 1.0)], [("u", "i", 1.0), ("u", "j", 1.0)]])
def test_nothing_that_nobody_was_evaluated_of_takes_the_label(train, volume, tmp_path, rows):
    tiny = datasets.write_rows(tmp_path / "tiny.csv", rows)
    status, said = train("--interactions", tiny, "--split", "none")
    assert status == NOT_MOVED
    assert "gate FAILED: nobody was evaluated" in said
    assert "no label moved" in said
    assert len(list_versions(volume)) == 1
    assert list_labels(volume) == {}
    status, _ = train("--interactions", tiny, "--split", "none", "--allow-unevaluated")
    assert status == 0
    assert list_labels(volume).keys() == {"current"}


def test_without_a_label_to_move_nothing_is_amiss(train, tmp_path):
    tiny = datasets.write_rows(tmp_path / "tiny.csv", [("u", "i", 1.0)])
    assert train("--interactions", tiny, "--split", "none", "--no-label")[0] == 0


def test_a_canary_is_held_against_what_everybody_gets(good, train, tmp_path, volume):
    changed = datasets.write_rows(tmp_path / "changed.csv", rows_as("{}.0".format))
    status, said = train("--interactions", changed, "--canary")
    assert status == 1
    assert "label 'current'" in said
    assert train(*good[0], "--canary")[0] == 0
    assert list_labels(volume).keys() == {"canary", "current"}


def test_what_is_kept_is_told_each_time(good, train):
    flags, serving = good
    status, said = train(*flags)
    assert status == 0
    for part in (
        f"gate passed: 24 of 24 users of version {serving} are kept by id (100.0%)",
        f"gate passed: 16 of 16 items of version {serving} are kept by id (100.0%)",
        f"interactions, version {serving} has",
        "gate passed: the weights above 0 sum to",
        f"evaluated users that version {serving} knows too, on what neither was trained on, is",
    ):
        assert part in said


def test_the_results_are_there_for_machines(good, volume, capsys):
    flags, _ = good
    assert main(["train", *map(str, flags), *QUICK, "--volume", str(volume), "--json"]) == 0
    gates = {gate["name"]: gate for gate in json.loads(capsys.readouterr().out)["gates"]}
    assert gates["min_users_kept"]["measured"] == 1.0
    assert gates["min_users_kept"]["required"] == 0.5
    assert gates["evaluated_users"]["passed"] is True
