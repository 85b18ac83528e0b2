"""The campaign against a fleet in its short form."""

from __future__ import annotations

import pytest

from tests import seaweedfs
from tests.load import fleet, fleet_campaign


@pytest.mark.skipif(seaweedfs.program() is None, reason=seaweedfs.MISSING)
def test_every_promise_is_kept(tmp_path):
    rows, verdicts, seen = fleet.run(tmp_path, fleet_campaign.SHORT)
    assert [verdict for verdict in verdicts if verdict.kept is not True] == []
    assert all(row.plain and row.careful for row in rows)
    # All that was done was looked at.
    assert len(seen.outcomes) > 10
