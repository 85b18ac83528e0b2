import json
from dataclasses import replace

import pytest
from recsys.trainer.v1 import trainer_service_pb2 as pb

from tests import publications
from trainer.service.version_messages import diff_message, diff_of, row_of, version_message
from trainer.versions.catalogue import PublishedVersion
from trainer.versions.diff import IdChanges, Overlap, ValueChange, VersionDiff


def sent(message):
    return type(message).FromString(message.SerializeToString())


MANIFEST = publications.complete_manifest()
METRICS = {"z": 0.1, "test_auc": 0.9375, "a": 1e-9}


MEASURED, UNMEASURED = (replace(MANIFEST, metrics=own) for own in (METRICS, {}))


@pytest.mark.parametrize(
    "published",
    [
        PublishedVersion(MANIFEST.version, ["canary", "own"], MEASURED, ""),
        PublishedVersion(MANIFEST.version, [], UNMEASURED, ""),
        PublishedVersion(MANIFEST.version, [], publications.complete_manifest(extended=True), ""),
        PublishedVersion("20260101T000000Z-000000", ["old"], None, "isn't JSON"),
    ],
)
def test_a_version_that_is_sent_has_the_row_of_the_volumes_own(published):
    row = row_of(sent(version_message(published)))
    assert row == published.row()
    assert json.dumps(row.content()) == json.dumps(published.row().content())


@pytest.mark.parametrize("overlap", [None, Overlap(users=3, mean=9.5, median=9.0, min=7)])
def test_a_difference_that_is_sent_is_the_volumes_own(overlap):
    settings = [
        ValueChange("loss", "warp", "bpr"),
        ValueChange("epochs", 20, 5),
        ValueChange("learning_rate", 0.05, 1e-7),
        ValueChange("sample_weights", False, True),
        ValueChange("trees", None, 3),
        ValueChange("text", "[1]", "null"),
    ]
    ids = IdChanges(before=5, after=6, new=2, lost=1, new_ids=["a", "b"], lost_ids=["c"])
    indexes = [ValueChange("similar.recall_at_10", 0.98, 1.0), ValueChange("similar.bytes", 10**12, 0)]
    changes = {
        "metrics": [ValueChange("test_auc", 0.1, None), ValueChange("users", None, 3.0)],
        "hyperparameters": settings,
        "indexes": indexes,
        "attributes": [ValueChange("year", "text", "number")],
        "model": [ValueChange("family", None, "ease"), ValueChange("kind", "vectors", "neighbours")],
    }
    if overlap is None:
        changes |= {"metrics": [], "metrics_problem": "other tests"}
    found = VersionDiff(before="a", after="b", overlap=overlap, items=ids, users=ids, **changes)
    message = sent(diff_message(found))
    assert diff_of(message, "a", "b") == found
    texts = [own.after for own in message.hyperparameters]
    assert texts == ["bpr", "5", "1e-07", "true", "3", "null"]


def test_truth_values_and_recalls_of_a_service_of_before_are_understood():
    changes = [pb.SettingChange(name="sample_weights", before="False", after="True")]
    message = pb.DiffVersionsResponse(hyperparameters=changes)
    assert diff_of(message, "a", "b").hyperparameters == [ValueChange("sample_weights", False, True)]
    assert row_of(pb.Version(name="a", items=1)).recall_at_10 == {}
    assert row_of(pb.Version(name="a", items=1)).model_kind == "vectors"
