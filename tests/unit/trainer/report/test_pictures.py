from __future__ import annotations

import warnings

import pytest
from matplotlib import pyplot as plt
from matplotlib.colors import to_hex

from tests.unit.trainer.report import made
from trainer.report import pictures
from trainer.report.scaling import PAIRWISE

BACKENDS = (*made.BACKENDS, "brute")
OF_ALL = made.accuracy(BACKENDS)
PANELS = [(name, trials, trials[3:4]) for name, trials in OF_ALL.trials.items()]


@pytest.fixture(autouse=True)
def _without_complaints():
    """What matplotlib warns of is missing in the picture, or is noise on the terminal."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    left = plt.get_fignums()
    plt.close("all")
    # A report of many pictures would hold all of them in memory.
    assert left == []


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """The lines and bars of a picture, which isn't written: that takes seconds."""

    def drawn(draw, *arguments):
        found = []

        def save(figure, _):
            found.extend(artist for ax in figure.axes for artist in (*ax.lines, *ax.patches))
            plt.close(figure)

        monkeypatch.setattr(pictures, "_save", save)
        draw(*arguments, tmp_path)
        return found

    return drawn


def colour_of(artist):
    return to_hex(artist.get_color() if hasattr(artist, "get_color") else artist.get_facecolor())


@pytest.mark.parametrize(
    ("draw", "arguments", "also"),
    [
        (pictures.scaling, (made.points(BACKENDS), 0.95), {PAIRWISE}),
        (pictures.precision, (OF_ALL.precision,), set()),
        (pictures.curves, (PANELS,), set()),
        (pictures.deployments, (made.deployments(BACKENDS),), set()),
    ],
)
def test_figures_of_any_backends_are_drawn_each_in_its_own_colour(drawn, draw, arguments, also):
    expected = {pictures._colour(backend) for backend in {*BACKENDS} | also}
    assert len(expected) == 5 + len(also)
    assert {colour_of(artist) for artist in drawn(draw, *arguments)} == expected


def test_a_point_that_misses_the_target_is_hollow(drawn):
    points = drawn(pictures.scaling, made.points(["annoy"]), 0.95)
    hollow = [one for one in points if one.get_markerfacecolor() == "white"]
    assert {colour_of(one) for one in hollow} == {pictures._colour("annoy")}
    assert len(hollow) == 2


def test_little_is_drawn_too(monkeypatch, tmp_path):
    monkeypatch.setattr(pictures, "_DPI", 40)
    path = tmp_path / "it.png"
    pictures.scaling(made.points(["exact"], [200]), 0.95, path)
    pictures.deployments(made.deployments(["exact"], [200]), path)
    # Curves that find next to nothing.
    poor = [made.trial("annoy", number, recall=0.01) for number in (1, 2)]
    pictures.curves([("similar", poor, []), ("recommend", [], [])], path)


def test_backends_come_in_the_same_order_everywhere():
    mixed = ["nmslib", "annoy", "brute", PAIRWISE, "exact", "annoy"]
    assert pictures._in_order(mixed) == [PAIRWISE, "exact", "annoy", "nmslib", "brute"]


def test_numbers_on_axes_are_written_out():
    written = [pictures._count(value) for value in (0.01, 0.5, 1, 10, 1500, 1e6)]
    assert written == ["0.01", "0.5", "1", "10", "1,500", "1,000,000"]
    assert [pictures._minor(value) for value in (0.2, 2, 3, 50, 90)] == ["0.2", "2", "", "50", ""]
