import pytest

from retriever.parent.supervisor import restart_pause


@pytest.mark.parametrize(
    ("deaths", "longest"),
    # The last after hours in which a worker couldn't be started, while others served.
    [(1, 0.2), (2, 0.4), (8, 25.6), (9, 30.0), (10, 30.0), (1025, 30.0), (10**6, 30.0)],
)
def test_the_pause_before_a_restart_doubles_up_to_an_end(deaths, longest):
    assert restart_pause(deaths, 1.0) == pytest.approx(longest)
    assert restart_pause(deaths, 0.0) == pytest.approx(longest / 2)
