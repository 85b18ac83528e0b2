"""A pinned version."""

from __future__ import annotations

from lightfm_retriever.publication import labels
from retriever.__main__ import main
from tests.load import models


def test_a_pinned_version_is_served_whatever_the_label_names(start, volume, capsys):
    pinned = labels.read_label(volume, "current")
    labels.promote(volume, models.publish(volume, "b", 2).version)
    service = start(volume, workers=1, pin=pinned)
    status = service.status()
    assert (status.version, status.label, status.label_target) == (pinned, "", pinned)
    assert main(["status", "--target", service.target]) == 0
    assert f"pinned  to {pinned}" in capsys.readouterr().out
