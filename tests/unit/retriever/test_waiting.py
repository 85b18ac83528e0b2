"""What is said while no version is served."""

from __future__ import annotations

import pytest

from retriever.control import FailedVersion, Loading, ServiceState
from retriever.waiting import Waiting, waiting_for

FAILED = FailedVersion("v1", "items.trie is broken", 1.0)


@pytest.mark.parametrize(
    ("fleet", "expected"),
    [
        (None, Waiting("the service starts and hasn't looked at the volume yet", passes=True)),
        (
            ServiceState(label="current"),
            Waiting("the service starts and hasn't looked at the volume yet", passes=True),
        ),
        (
            ServiceState(label="current", target="v1"),
            Waiting("version v1 is about to be loaded", passes=True),
        ),
        (
            ServiceState(label="current", label_problem="no label", failed=[FAILED]),
            Waiting("no label", passes=False),
        ),
        (
            ServiceState(label="current", target="v1", failed=[FAILED]),
            Waiting(
                "version v1, which label current names, can't be served: items.trie is broken",
                passes=False,
            ),
        ),
        (
            ServiceState(label="", target="v1", failed=[FAILED]),
            Waiting(
                "version v1, which the service is pinned to, can't be served: items.trie is broken",
                passes=False,
            ),
        ),
        # Another one failed, before the label moved away from it.
        (
            ServiceState(label="current", target="v2", failed=[FAILED]),
            Waiting("version v2 is about to be loaded", passes=True),
        ),
        (
            ServiceState(
                label="current", target="v1", failed=[FAILED], loading=Loading("v1", "VERIFYING", 87.6)
            ),
            Waiting(
                "version v1 is being loaded, 12 s so far: its files are being read and checked",
                passes=True,
            ),
        ),
        (
            ServiceState(
                label="current",
                label_problem="the volume hasn't answered for 15 s",
                loading=Loading("v1", "PREPARING", 100.0),
            ),
            Waiting(
                "version v1 is being loaded, 0 s so far: the workers open it; "
                "the volume hasn't answered for 15 s",
                passes=True,
            ),
        ),
    ],
)
def test_it_names_the_version_and_what_is_done_or_wrong(fleet, expected):
    assert waiting_for(fleet, now=100.0) == expected
