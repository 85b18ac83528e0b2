import warnings

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

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


@pytest.mark.parametrize(
    ("draw", "arguments", "also"),
    [
        (pictures.scaling, (made.points(BACKENDS), 0.95), {PAIRWISE}),
        (pictures.precision, (OF_ALL.precision,), set()),
        (pictures.curves, (PANELS,), set()),
        (pictures.deployments, (made.deployments(BACKENDS),), set()),
    ],
)
def test_each_backend_has_its_own_colour(monkeypatch, tmp_path, draw, arguments, also):
    saved = []
    # It isn't written, which takes seconds.
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: saved.append(figure))
    draw(*arguments, tmp_path)
    lines = [line for ax in saved[0].axes for line in ax.lines]
    colours = [line.get_color() for line in lines]
    colours += [bar.get_facecolor() for ax in saved[0].axes for bar in ax.patches]
    expected = {pictures._look(backend)[0] for backend in {*BACKENDS} | also}
    assert len(expected) == 5 + len(also)
    assert {*map(to_hex, colours)} == expected
    # A point that misses the target is hollow.
    hollow = [to_hex(one.get_color()) for one in lines if one.get_markerfacecolor() == "white"]
    assert hollow == [pictures._look("annoy")[0]] * (2 if draw is pictures.scaling else 0)


def test_little_is_drawn_too(monkeypatch, tmp_path):
    monkeypatch.setattr(pictures, "_DPI", 40)
    path = tmp_path / "it.png"
    pictures.scaling(made.points(["exact"], [200]), 0.95, path)
    pictures.deployments(made.deployments(["exact"], [200]), path)
    # Curves that find next to nothing.
    poor = [made.trial("annoy", number, recall=0.01) for number in (1, 2)]
    pictures.curves([("similar", poor, []), ("recommend", [], [])], path)


def test_backends_come_in_the_same_order_everywhere_and_numbers_are_written_out():
    mixed = ["nmslib", "annoy", "brute", PAIRWISE, "exact", "annoy"]
    assert pictures._in_order(mixed) == [PAIRWISE, "exact", "annoy", "nmslib", "brute"]
    written = [pictures._count(value) for value in (0.01, 0.5, 1, 1500, 1e6)]
    assert written == ["0.01", "0.5", "1", "1,500", "1,000,000"]
    assert [pictures._minor(value) for value in (0.2, 2, 3, 50, 90)] == ["0.2", "2", "", "50", ""]
