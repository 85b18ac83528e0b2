"""The fault campaign in its short form."""

from pathlib import Path

import pytest

from tests.load import campaign, chaos


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    directory: Path = tmp_path_factory.mktemp("chaos")
    with chaos.small_disk(directory) as disk:
        return chaos.run(disk, directory, campaign.SHORT)


def test_every_promise_is_kept(outcome):
    _, verdicts, _ = outcome
    broken = [verdict for verdict in verdicts if verdict.kept is False]
    assert not broken
    # What the short form can't tell, `make chaos` can.
    assert sum(verdict.kept is None for verdict in verdicts) <= 2


def test_callers_called_in_every_phase(outcome):
    rows, _, _ = outcome
    assert all(row.plain and row.careful for row in rows if row.phase != "delete old versions")
