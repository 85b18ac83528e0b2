"""Processes that publish at once don't disturb one another."""

from __future__ import annotations

from datetime import timedelta

from lightfm_retriever.publication.reader import list_versions
from tests import publications
from tests.integration.publication.checks import assert_sound

ROUNDS = 8


def test_two_processes_publish_the_same_in_the_same_second(publisher, other_publisher, tmp_path):
    both = [publisher, other_publisher]
    for each in both:
        each.start(tmp_path, seeds=[1] * ROUNDS)
    assert [each.wait()["status"] for each in both] == [0, 0]
    assert_sound(tmp_path)
    seconds = [publications.NOON + timedelta(seconds=number) for number in range(2 * ROUNDS)]
    assert [version[:16] for version in list_versions(tmp_path)] == [
        f"{second:%Y%m%dT%H%M%SZ}" for second in seconds
    ]
