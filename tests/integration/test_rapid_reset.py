"""Callers with a token are answered while somebody without one begins calls and resets them at once."""

import pytest

from lightfm_retriever.publication import labels
from tests.load import models, resets


@pytest.mark.parametrize("front", resets.FRONTS, ids=lambda front: front.name)
def test_calls_with_a_token_are_answered_beside_a_rapid_reset(tmp_path, front):
    volume = tmp_path / "volume"
    labels.promote(volume, models.publish(volume, "a", 1).version)
    measured = resets.measure(front, volume, tmp_path, 1)
    assert not measured.failed, measured.outcome
    assert measured.during > 0
    # Else it was none.
    assert int(measured.attack.split()[0]) > 1000
