"""All that a user can set, in a list."""

import json
import sys

import pytest

from trainer import models
from trainer.__main__ import main
from trainer.models import listing


def test_each_setting_can_be_given_as_the_list_says(capsys):
    assert main(["models", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["default"] == models.AUTO
    assert [own["name"] for own in found["models"]] == list(models.NAMES)
    settings = {(own["name"], one["name"]): one for own in found["models"] for one in own["settings"]}
    assert settings["ease", "l2"] == {
        "name": "l2",
        "help": "L2 penalty; the more users, the larger it may be",
        "type": "number",
        "range": "above 0",
        "default": 250.0,
        "flag": "--set l2",
    }
    assert settings["lightfm", "learning_rate"]["flag"] == "--learning-rate"
    # This one depends on the data.
    assert settings["lightfm", "epochs"]["default"] is None
    assert not any(name in ("seed", "threads", "sample_weights") for _, name in settings)
    traits = {own["name"]: own for own in found["models"]}
    for name, own in traits.items():
        family = models.family(name)
        expected = family.has_vectors, family.uses_features, family.uses_weights
        assert (own["has_vectors"], own["uses_features"], own["uses_weights"]) == expected
    assert traits["lightfm"]["uses_features"]
    assert not traits["bpr"]["uses_weights"]


@pytest.mark.parametrize("installed", [True, False])
def test_people_read_it_too(monkeypatch, capsys, installed):
    if not installed:
        monkeypatch.setitem(sys.modules, "implicit", None)
    assert main(["models"]) == 0
    shown = capsys.readouterr().out
    assert shown == listing.table(listing.described()) + "\n"
    for part in (
        "als: matrix factorisation",
        "--set alpha above 0",
        "(default: by the data)",
        "1..4096",
    ):
        assert part in shown
    assert ("pip install 'lightfm-retriever[models]'" in shown) is not installed
