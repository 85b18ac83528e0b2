"""The fault campaign in its short form."""

import pytest

from tests.load import chaos
from tests.load.judge import phase_rows


@pytest.fixture(scope="module")
def came(tmp_path_factory):
    return chaos.run(tmp_path_factory.mktemp("chaos"), short=True)


def test_every_promise_is_kept(came):
    _, _, verdicts = came
    assert not [verdict for verdict in verdicts if verdict.kept is False]
    # What the short form can't tell, `make chaos` can.
    assert sum(verdict.kept is None for verdict in verdicts) <= 2


def test_callers_called_in_every_phase(came):
    calls, seen, _ = came
    rows = phase_rows(calls, seen)
    assert all(row.plain and row.careful for row in rows if row.phase != "delete old versions")
