"""A pinned version is served whatever the label names, and may come later."""

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


def test_a_pinned_version_may_come_later(start, volume):
    pinned = "20301231T235959Z-abcdef"
    service = start(volume, workers=1, pin=pinned, serving=False)
    status = service.wait_until(lambda status: status.failed_versions)
    assert "isn't on the volume" in status.failed_versions[0].reason
    assert not status.version
