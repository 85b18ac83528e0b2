import json
from dataclasses import asdict, replace

from lightfm_retriever.publication.manifest import encode
from tests import publications
from trainer.cli.printed import output
from trainer.promotion.checks import Checked
from trainer.versions.catalogue import PublishedVersion
from trainer.versions.diff import IdChanges, ValueChange, VersionDiff

METRICS = {
    "train_precision_at_10": 0.75,
    "train_auc": 0.96875,
    "test_precision_at_10": 0.09375,
    "test_auc": 0.90625,
    "test_ndcg_at_10_unseen": 0.3,
    "test_precision_at_10_unseen": 0.25,
    "test_auc_unseen": 0.9375,
    "evaluated_users": 943.0,
}


LONGER = {"test_recall_at_50_unseen": 0.5}


def result(manifest, seconds=None, label="current"):
    seconds = seconds or {"fit": 1.25, "publish": 0.5}
    return Checked(manifest, seconds, ["3 items aren't in it"], gates=[], label=label)


def words(text):
    return [" ".join(line.split()) for line in text.splitlines()]


def test_what_was_published_as_json_is_complete(capsys):
    manifest = publications.complete_manifest(extended=True)
    seconds = {"publish": 0.5, "ponder": 2.0, "fit": 1.25, "read": 1.0}
    output.published(result(manifest, seconds), as_json=True)
    printed = capsys.readouterr()
    assert printed.err == ""
    content = json.loads(printed.out)
    own = {"label": "current", "seconds": seconds, "gates": [], "warnings": ["3 items aren't in it"]}
    own["candidates"] = []
    names = {
        "version",
        "items",
        "users",
        "dataset",
        "hyperparameters",
        "metrics",
        "evaluation",
        "indexes",
        "model",
        "attributes",
    }
    assert content == own | {name: told for name, told in asdict(manifest).items() if name in names}
    # As they happen.
    assert [*content["seconds"]] == ["read", "fit", "publish", "ponder"]
    assert "példa" in printed.out


def test_what_was_published_for_people_tells_metrics_indexes_and_the_version(capsys):
    manifest = publications.complete_manifest(extended=True)

    def told(metrics, evaluation=manifest.evaluation, **changes):
        own = replace(manifest, metrics=metrics, evaluation=evaluation)
        output.published(result(own, **changes), as_json=False)
        printed = capsys.readouterr()
        assert printed.err == "warning: 3 items aren't in it\n"
        return words(printed.out)

    more = {
        "test_precision_at_10_served": 0.0144,
        "test_precision_at_10_exact": 0.1144,
        "served_users": 1000.0,
        "test_precision_at_10_trained": 0.25,
        "test_precision_at_10_popular": 0.125,
        "test_coverage_at_10_unseen": 0.5,
        "test_novelty_at_10_unseen": 3.25,
    }
    assert told({**METRICS, **more}) == [
        "példa: 6 users, 12 items, 40 training and 6 test interactions (split leave-one-out)",
        "test: 900 of 943 users evaluated, 9,000 held-out interactions",
        "at 10 NDCG precision recall MAP MRR hit rate AUC",
        "unseen items 0.3000 0.2500 - - - - 0.9375",
        "at least, with 95 % confidence 0.2903 0.2422 - - - - -",
        "at most 0.3099 0.2579 - - - - -",
        "all items - 0.0938 - - - - 0.9062",
        "training interactions, all items - 0.7500 - - - - 0.9688",
        "as served, by annoy (1,000 users) - 0.0144 - - - - -",
        "by exact search (1,000 users) - 0.1144 - - - - -",
        "users by their own vectors - 0.2500 - - - - -",
        "users by the most popular items - 0.1250 - - - - -",
        "lists of 10: 50.0% of the items in any list, novelty 3.25 bits",
        # Only what was asked for; with so few users the figure proves nothing.
        "segment users NDCG, 95 % NDCG precision recall hit rate meaning",
        "genres Komödie 40 ? 0.230-0.271 0.2500 - 0.5000 - 7 items",
        "index backend settings recall@10 µs a query exact, µs file, MB",
        "similar annoy trees=10 search_k=-1 1.0000 26 30 0.0",
        "recommend annoy trees=10 search_k=-1 1.0000 26 30 0.0",
        "attributes: genres (text), year (number), studio (text), votes (number)",
        "seconds: fit 1.25, publish 0.50",
        f"published {manifest.version}, label 'current' names it",
    ]
    untested = {"evaluation": None, "label": None}
    lines = told({"train_precision_at_10": 0.5, "evaluated_users": 0.0}, **untested)
    assert lines[1].startswith("at 10 NDCG")
    assert lines[2] == "training interactions, all items - 0.5000 - - - - -"
    assert lines[3].startswith("index backend")
    assert lines[-1] == f"published {manifest.version}, no label moved"


def test_a_version_is_told_in_words_of_no_programming_language(capsys):
    manifest = replace(
        publications.complete_manifest(extended=True),
        hyperparameters={"sample_weights": True, "other": False, "trees": None, "rate": 0.05},
        metrics={"other": -1.7e308},
    )
    output.version(json.loads(encode(manifest)), [], as_json=False)
    lines = words(capsys.readouterr().out)
    assert "hyperparameters: sample_weights true, other false, trees -, rate 0.0500" in lines
    # A number of hundreds of digits widens nothing.
    assert "metrics: other -1.7e+308" in lines
    # All segments of the test.
    facts = manifest.evaluation
    assert f"test {facts.test[:8]}: 900 of 943 users evaluated, 9,000 held-out interactions" in lines
    assert "user_activity low 300 0.231-0.270 0.2500 - 0.5000 - 1 to 9 seen items" in lines
    output.version({**json.loads(encode(manifest)), "metrics": METRICS | LONGER}, [], as_json=False)
    assert "1 more metrics: --json" in words(capsys.readouterr().out)
    shown = ", ".join(f"{own.name} ({own.kind})" for own in manifest.attributes)
    assert f"attributes: {shown}" in lines


def test_attributes_that_differ_are_among_a_differences_changes(capsys):
    changes = [ValueChange("year", "text", "number"), ValueChange("new", None, "text")]
    same = IdChanges(before=1, after=1, new=0, lost=0, new_ids=[], lost_ids=[])
    model = [ValueChange("kind", "vectors", "neighbours")]
    found = VersionDiff("a", "b", None, same, same, [], [], model, [], attributes=changes)
    output.diff(found, as_json=False)
    lines = words(capsys.readouterr().out)
    assert "model kind vectors neighbours" in lines
    # Said to be attributes: there may be hyperparameters of such names.
    assert lines[-2:] == ["attribute year text number", "attribute new - text"]


def test_an_item_item_model_is_told_without_indexes(capsys):
    manifest = publications.complete_manifest(item_item=True)
    output.version(json.loads(encode(manifest)), [], as_json=False)
    lines = words(capsys.readouterr().out)
    assert "model: ease, of neighbours" in lines
    assert any(line.endswith("items, no vectors") for line in lines)
    output.versions([PublishedVersion(manifest.version, [], manifest, "").row()], as_json=False)
    assert words(capsys.readouterr().out)[-1].endswith("no index")
    made = Checked(manifest=manifest, seconds={}, warnings=[], gates=[])
    output.published(made, as_json=False)
    lines = words(capsys.readouterr().out)
    assert "no index: the item-item model ease answers exactly (0.0 MB)" in lines
    output.published(made, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["indexes"]) == ({"family": "ease", "kind": "neighbours"}, {})


def test_metrics_of_different_tests_are_not_shown_beside_one_another(capsys):
    same = IdChanges(before=1, after=1, new=0, lost=0, new_ids=[], lost_ids=[])
    found = VersionDiff(
        "a", "b", None, same, same, *([] for _ in range(5)), metrics_problem="other tests"
    )
    output.diff(found, as_json=False)
    assert "metrics can't be compared: other tests. Train both" in capsys.readouterr().out
    output.diff(found, as_json=True)
    content = json.loads(capsys.readouterr().out)
    assert (content["metrics"], content["metrics_problem"]) == ([], "other tests")


def test_versions(capsys):
    manifest = replace(publications.complete_manifest(extended=True), metrics=METRICS)
    test = manifest.evaluation.test[:8]
    untested = replace(publications.complete_manifest(), metrics={})
    problem = "/a/[prod]/:smile:/manifest.json: " + "checksum is " + "0" * 300
    name, broken = manifest.version, "20260101T000000Z-000000"
    versions = (
        (name, ["canary", "current"], manifest, ""),
        (broken, ["old"], None, problem),
        (name, [], untested, ""),
    )
    rows = [PublishedVersion(*own).row() for own in versions]
    output.versions(rows, as_json=False)
    printed = capsys.readouterr().out
    for line in (
        f"{name} canary current 12 6 943 0.3000 0.290-0.310 0.2500 0.9375 {test} 1.0000",
        f"{broken} old broken",
        f"{name} 12 6 0 - - - - - 1.0000",
    ):
        assert line in words(printed)
    # Whole, however long, and with what rich would take for markup.
    assert printed.endswith(f"{broken}: {problem}\n")
    output.versions(rows, as_json=True)
    assert json.loads(capsys.readouterr().out) == [row.content() for row in rows]
    for show in (output.versions, output.verified):
        show([], as_json=False)
        show([], as_json=True)
        assert capsys.readouterr().out == "nothing is published on this volume\n[]\n"
