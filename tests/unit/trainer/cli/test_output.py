from __future__ import annotations

import json
from dataclasses import asdict, replace

import pytest

from lightfm_retriever.publication.manifest import encode
from tests import publications
from trainer.cli import output
from trainer.promotion.checks import Checked
from trainer.versions.catalogue import PublishedVersion
from trainer.versions.diff import IdChanges, ValueChange, VersionDiff
from trainer.versions.rows import row_of

METRICS = {
    "train_precision_at_10": 0.75,
    "train_auc": 0.96875,
    "test_precision_at_10": 0.09375,
    "test_auc": 0.90625,
    "test_precision_at_10_unseen": 0.25,
    "test_auc_unseen": 0.9375,
    "evaluated_users": 943.0,
}


def result(**changes):
    manifest = replace(publications.complete_manifest(), metrics=METRICS)
    fields = {
        "manifest": manifest,
        "label": "current",
        "seconds": {"fit": 1.25, "publish": 0.5},
        "warnings": ["3 items aren't in it"],
        "gates": [],
    }
    return Checked(**{**fields, **changes})


def words(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_what_was_published_as_json_is_complete(capsys):
    manifest = publications.complete_manifest(extended=True)
    made = result(manifest=manifest, seconds={"publish": 0.5, "ponder": 2.0, "fit": 1.25, "read": 1.0})
    output.published(made, as_json=True)
    printed = capsys.readouterr()
    assert printed.err == ""
    content = json.loads(printed.out)
    assert content == {
        "version": manifest.version,
        "label": "current",
        "items": 12,
        "users": 6,
        "dataset": asdict(manifest.dataset),
        "hyperparameters": manifest.hyperparameters,
        "metrics": manifest.metrics,
        "indexes": {name: asdict(index) for name, index in manifest.indexes.items()},
        "attributes": [{"name": own.name, "kind": own.kind} for own in manifest.attributes],
        "seconds": made.seconds,
        "gates": [],
        "warnings": ["3 items aren't in it"],
    }
    # As they happen.
    assert [*content["seconds"]] == ["read", "fit", "publish", "ponder"]
    assert len(content["attributes"]) > 1
    assert "példa" in printed.out


def test_what_was_published_for_people_tells_metrics_indexes_and_the_version(capsys):
    made = result()
    output.published(made, as_json=False)
    printed = capsys.readouterr()
    assert printed.err == "warning: 3 items aren't in it\n"
    lines = words(printed.out)
    assert lines[0] == (
        "példa: 6 users, 12 items, 40 training and 6 test interactions (split leave-one-out)"
    )
    for expected in (
        "train, all items 0.7500 0.9688",
        "test, all items 0.0938 0.9062",
        "test, seen items excluded 0.2500 0.9375",
        "index backend settings recall@10 µs a query exact, µs file, MB",
        "similar annoy trees=10 search_k=-1 1.0000 26 30 0.0",
        "recommend annoy trees=10 search_k=-1 1.0000 26 30 0.0",
        "seconds: fit 1.25, publish 0.50",
        f"published {made.manifest.version}, label 'current' names it",
    ):
        assert expected in lines
    assert "of exact search" not in printed.out
    assert "of their own" not in printed.out
    assert "attributes" not in printed.out
    metrics = {"train_precision_at_10": 0.5, "evaluated_users": 0.0}
    output.published(
        result(label=None, manifest=replace(made.manifest, metrics=metrics)), as_json=False
    )
    lines = words(capsys.readouterr().out)
    assert "train, all items 0.5000 -" in lines
    assert not any(line.startswith("test,") for line in lines)
    assert lines[-1] == f"published {made.manifest.version}, no label moved"


def test_the_precision_as_served_is_told_beside_that_of_exact_search(capsys):
    served = {
        "test_precision_at_10_served": 0.0144,
        "test_precision_at_10_exact": 0.1144,
        "served_users": 1000.0,
    }
    manifest = replace(publications.complete_manifest(), metrics=METRICS | served)
    output.published(result(manifest=manifest), as_json=False)
    lines = words(capsys.readouterr().out)
    start = lines.index("1,000 users, seen items excluded precision@10 of exact search")
    assert lines[start + 1 : start + 3] == [
        "as served, by annoy 0.0144 13%",
        "by exact search 0.1144 100%",
    ]


COLD = {
    "test_precision_at_10_trained": 0.25,
    "test_precision_at_10_folded_in": 0.2125,
    "test_precision_at_10_popular": 0.125,
}


def test_users_without_a_vector_and_attributes_are_told_of_where_there_are_any(capsys):
    manifest = publications.complete_manifest(extended=True)
    assert len(manifest.attributes) > 1
    output.published(result(manifest=replace(manifest, metrics=METRICS | COLD)), as_json=False)
    lines = words(capsys.readouterr().out)
    start = lines.index("the same users, seen items excluded precision@10 of their own")
    assert lines[start + 1 : start + 4] == [
        "by their own vectors 0.2500 100%",
        "by what they have seen 0.2125 85%",
        "by what is popular 0.1250 50%",
    ]
    shown = ", ".join(f"{own.name} ({own.kind})" for own in manifest.attributes)
    assert f"attributes: {shown}" in lines

    without = {**METRICS, **COLD, "test_precision_at_10_trained": 0.0}
    output.published(result(manifest=replace(manifest, metrics=without)), as_json=False)
    assert "by what is popular 0.1250 -" in words(capsys.readouterr().out)


@pytest.mark.parametrize("extended", [False, True])
def test_a_version_is_told_in_words_of_no_programming_language(capsys, extended):
    manifest = replace(
        publications.complete_manifest(extended=extended),
        hyperparameters={"sample_weights": True, "other": False, "trees": None, "rate": 0.05},
    )
    output.version(json.loads(encode(manifest)), [], as_json=False)
    lines = words(capsys.readouterr().out)
    assert "hyperparameters: sample_weights true, other false, trees -, rate 0.0500" in lines
    shown = ", ".join(f"{own.name} ({own.kind})" for own in manifest.attributes)
    told = [line for line in lines if line.startswith("attributes")]
    assert told == ([f"attributes: {shown}"] if extended else [])


def test_attributes_that_differ_are_among_a_differences_changes(capsys):
    changes = [ValueChange("year", "text", "number"), ValueChange("new", None, "text")]
    same = IdChanges(before=1, after=1, new=0, lost=0, new_ids=[], lost_ids=[])
    found = VersionDiff("a", "b", None, same, same, [], [], [], attributes=changes)
    output.diff(found, as_json=False)
    lines = words(capsys.readouterr().out)
    # Said to be attributes: there may be hyperparameters of such names.
    assert lines[-2:] == ["attribute year text number", "attribute new - text"]


def test_versions(capsys):
    manifest = replace(publications.complete_manifest(), metrics=METRICS)
    untested = replace(publications.complete_manifest(), metrics={})
    problem = "/a/[prod]/:smile:/manifest.json: " + "checksum is " + "0" * 300
    name, broken = manifest.version, "20260101T000000Z-000000"
    rows = [
        row_of(PublishedVersion(name, ["canary", "current"], manifest, "")),
        row_of(PublishedVersion(broken, ["old"], None, problem)),
        row_of(PublishedVersion(name, [], untested, "")),
    ]
    output.versions(rows, as_json=False)
    printed = capsys.readouterr().out
    for line in (
        f"{name} canary current 12 6 0.0938 0.2500 0.9062 1.0000",
        f"{broken} old broken",
        f"{name} 12 6 - - - 1.0000",
    ):
        assert line in words(printed)
    # Whole, however long, and with what rich would take for markup.
    assert printed.endswith(f"{broken}: {problem}\n")
    output.versions(rows[:2], as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {
            "version": name,
            "labels": ["canary", "current"],
            "problem": "",
            "created_at": "2026-11-24T12:00:00Z",
            "items": 12,
            "users": 6,
            "metrics": METRICS,
            "recall_at_10": {"similar": 1.0, "recommend": 1.0},
        },
        {
            "version": broken,
            "labels": ["old"],
            "problem": problem,
            **dict.fromkeys(("created_at", "items", "users")),
            "metrics": {},
            "recall_at_10": {},
        },
    ]


@pytest.mark.parametrize("show", [output.versions, output.verified])
def test_an_empty_volume_is_said_to_be_so(capsys, show):
    show([], as_json=False)
    assert capsys.readouterr().out == "nothing is published on this volume\n"
    show([], as_json=True)
    assert json.loads(capsys.readouterr().out) == []


def test_a_moved_label(capsys):
    output.label_moved("current", None, "new", as_json=False)
    output.label_moved("current", "old", "new", as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "label 'current' names new (before: none)",
        "label 'current' names new (before: old)",
    ]
    output.label_moved("current", None, "new", as_json=True)
    expected = {"label": "current", "previous": None, "version": "new"}
    assert json.loads(capsys.readouterr().out) == expected


def test_verified_versions(capsys):
    rows = [("a", None), ("b", "items.trie: SHA-256 differs")]
    output.verified(rows, as_json=False)
    assert capsys.readouterr().out.splitlines() == [
        "a: every byte is as published",
        "b: items.trie: SHA-256 differs",
    ]
    output.verified(rows, as_json=True)
    assert json.loads(capsys.readouterr().out) == [
        {"version": "a", "problem": None},
        {"version": "b", "problem": "items.trie: SHA-256 differs"},
    ]


def test_a_number_of_hundreds_of_digits_widens_no_table(capsys):
    manifest = replace(
        publications.complete_manifest(), metrics={"test_auc": 1.7e308, "other": -1.7e308}
    )
    output.versions([row_of(PublishedVersion("v", [], manifest, ""))], as_json=False)
    output.version(json.loads(encode(manifest)), [], as_json=False)
    printed = capsys.readouterr().out
    assert "1.7e+308" in printed
    assert "-1.7e+308" in printed
    assert max(map(len, printed.splitlines())) < 250
