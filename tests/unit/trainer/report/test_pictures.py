from __future__ import annotations

import struct
import warnings

import numpy as np
import pytest
from matplotlib import pyplot as plt

from tests.unit.trainer.report import made
from trainer.report import pictures
from trainer.report.scaling import PAIRWISE

DPI = 40


@pytest.fixture(autouse=True)
def _quick_and_without_complaints(monkeypatch):
    """What matplotlib warns of is missing in the picture, or is noise on the terminal."""
    monkeypatch.setattr(pictures, "_DPI", DPI)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
    left = plt.get_fignums()
    plt.close("all")
    # A report of many pictures would hold all of them in memory.
    assert left == []


@pytest.fixture
def colours(tmp_path):
    """How many pixels a picture has of each colour. It is a PNG of a sensible size."""

    def colours(draw, *arguments):
        path = tmp_path / "it.png"
        draw(*arguments, path)
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        width, height = (side / DPI for side in struct.unpack(">II", data[16:24]))
        assert 8 <= width <= 20
        assert 4 <= height <= 8
        pixels = np.round(plt.imread(path)[..., :3] * 255).astype(int).reshape(-1, 3)
        found, counts = np.unique(pixels, axis=0, return_counts=True)
        assert len(found) > 20
        return {f"#{r:02x}{g:02x}{b:02x}": n for (r, g, b), n in zip(found, counts, strict=True)}

    return colours


DRAWN = {
    "scaling": lambda backends: (made.points(backends), 0.95),
    "precision": lambda backends: (made.accuracy(backends).precision,),
    "curves": lambda backends: (
        [
            (f"{name} <of> $it$", trials, trials[3:4])
            for name, trials in made.accuracy(backends).trials.items()
        ],
    ),
    "deployments": lambda backends: (made.deployments(backends),),
}


@pytest.mark.parametrize("name", DRAWN)
def test_figures_of_any_backends_are_drawn_each_in_its_own_colour(colours, name):
    backends = (*made.BACKENDS, "brute")
    seen = colours(getattr(pictures, name), *DRAWN[name](backends))
    assert {pictures._colour(backend) for backend in backends} <= seen.keys()
    assert len({pictures._colour(backend) for backend in backends}) == 5


def test_a_point_that_misses_the_target_is_hollow(colours):
    filled = [
        colours(pictures.scaling, made.points(["annoy"]), target)["#0072b2"] for target in (0.4, 0.95)
    ]
    assert filled[0] > filled[1]


def test_little_is_drawn_too(colours):
    colours(pictures.scaling, made.points(["exact"], [200]), 0.95)
    colours(pictures.deployments, made.deployments(["exact"], [200]))
    # Curves that find next to nothing.
    poor = [made.trial("annoy", number, recall=0.01) for number in (1, 2)]
    colours(pictures.curves, [("similar", poor, []), ("recommend", [], [])])


def test_backends_are_named_and_come_in_the_same_order_everywhere():
    mixed = ["nmslib", "annoy", "brute", PAIRWISE, "exact", "annoy"]
    assert pictures._in_order(mixed) == [PAIRWISE, "exact", "annoy", "nmslib", "brute"]
    names = [pictures.name_of(name) for name in (*made.BACKENDS, PAIRWISE, "brute")]
    assert len({*names}) == 6
    assert names[-1] == "brute"


def test_numbers_on_axes_are_written_out():
    written = [pictures._count(value) for value in (0.01, 0.5, 1, 10, 1500, 1e6)]
    assert written == ["0.01", "0.5", "1", "10", "1,500", "1,000,000"]
    assert [pictures._minor(value) for value in (0.2, 2, 3, 50, 90)] == ["0.2", "2", "", "50", ""]
