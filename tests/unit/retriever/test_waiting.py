"""What is said while no version is served."""

from __future__ import annotations

import pytest

from retriever.control import FailedVersion, Loading, ServiceState
from retriever.waiting import Waiting, waiting_for

STARTS = "the service starts and hasn't looked at the volume yet"
READ = "version v1 is being loaded, 12 s so far: its files are being read and checked"
FAILED = [FailedVersion("v1", "items.trie is broken", 1.0)]


@pytest.mark.parametrize(
    ("fleet", "passes", "reason"),
    [
        (None, True, STARTS),
        ({}, True, STARTS),
        ({"target": "v1"}, True, "version v1 is about to be loaded"),
        # Another one failed, before the label moved away from it.
        ({"target": "v2", "failed": FAILED}, True, "version v2 is about to be loaded"),
        ({"label_problem": "no label", "failed": FAILED}, False, "no label"),
        (
            {"target": "v1", "failed": FAILED},
            *(False, "version v1, which label current names, can't be served: items.trie is broken"),
        ),
        (
            {"label": "", "target": "v1", "failed": FAILED},
            *(
                False,
                "version v1, which the service is pinned to, can't be served: items.trie is broken",
            ),
        ),
        ({"target": "v1", "failed": FAILED, "loading": Loading("v1", "VERIFYING", 87.6)}, True, READ),
        (
            {"label_problem": "no answer for 15 s", "loading": Loading("v1", "PREPARING", 101.0)},
            True,
            "version v1 is being loaded, 0 s so far: the workers open it; no answer for 15 s",
        ),
        (
            {"loading": Loading("v1", "VERIFIED", 100.0)},
            *(True, "version v1 is being loaded, 0 s so far: the workers are about to open it"),
        ),
    ],
)
def test_it_names_the_version_and_what_is_done_or_wrong(fleet, passes, reason):
    told = None if fleet is None else ServiceState(**{"label": "current", **fleet})
    assert waiting_for(told, now=100.0) == Waiting(reason, passes=passes)
