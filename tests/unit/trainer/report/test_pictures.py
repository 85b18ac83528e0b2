from __future__ import annotations

import struct
import warnings

import numpy as np
import pytest
from matplotlib import pyplot as plt

from tests.unit.trainer.report import made
from trainer.report import pictures
from trainer.report.scaling import PAIRWISE

DPI = 50


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


def assert_picture(path):
    """A PNG of a sensible size with something on it."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert data.endswith(b"IEND\xaeB`\x82")
    width, height = (side / DPI for side in struct.unpack(">II", data[16:24]))
    assert 8 <= width <= 20
    assert 4 <= height <= 8
    pixels = plt.imread(path)[..., :3]
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
    return np.round(pixels * 255).astype(int)


def panels(*backends):
    of = made.accuracy(backends)
    return [(f"{name} <of> $it$", trials, of.chosen[name]) for name, trials in of.trials.items()]


def draw(name, path, *backends):
    """Draw one of the pictures of made-up figures of some backends."""
    if name == "scaling":
        pictures.scaling(made.points(backends), 0.95, path)
    elif name == "precision":
        pictures.precision(made.accuracy(backends).precision, path)
    elif name == "curves":
        pictures.curves(panels(*backends), path)
    else:
        pictures.deployments(made.deployments(backends), path)


NAMES = ("scaling", "precision", "curves", "deployments")


@pytest.mark.parametrize("backends", [("exact",), ("annoy", "brute")])
@pytest.mark.parametrize("name", NAMES)
def test_figures_of_any_backends_are_drawn(tmp_path, name, backends):
    path = tmp_path / "it.png"
    draw(name, path, *backends)
    assert_picture(path)


@pytest.mark.parametrize("name", NAMES)
def test_every_backend_has_its_own_colour(tmp_path, name):
    path = tmp_path / "it.png"
    draw(name, path, *made.BACKENDS)
    pixels = assert_picture(path).reshape(-1, 3)
    seen = {tuple(colour) for colour in np.unique(pixels, axis=0).tolist()}
    for backend in made.BACKENDS:
        colour = pictures._COLOURS[backend]
        assert tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5)) in seen


def test_a_point_that_misses_the_target_is_hollow(tmp_path):
    filled = []
    for target in (0.4, 0.95):
        path = tmp_path / f"{target}.png"
        pictures.scaling(made.points(["annoy"]), target, path)
        pixels = assert_picture(path)
        filled.append(int((pixels == [0x00, 0x72, 0xB2]).all(axis=2).sum()))
    assert filled[0] > filled[1]


def test_one_catalogue_of_one_size_is_drawn(tmp_path):
    path = tmp_path / "it.png"
    pictures.scaling(made.points(["exact"], [200]), 0.95, path)
    assert_picture(path)
    pictures.deployments(made.deployments(["exact"], [200]), path)
    assert_picture(path)


def test_curves_that_find_next_to_nothing_are_no_error(tmp_path):
    path = tmp_path / "it.png"
    poor = [made.trial("annoy", number, recall=0.01) for number in (1, 2)]
    pictures.curves([("similar", poor, []), ("recommend", [], [])], path)
    assert_picture(path)


def test_backends_are_named_and_come_in_the_same_order_everywhere():
    mixed = ["nmslib", "annoy", "brute", PAIRWISE, "exact", "annoy"]
    assert pictures._in_order(mixed) == [PAIRWISE, "exact", "annoy", "nmslib", "brute"]
    names = [pictures.name_of(name) for name in (*made.BACKENDS, PAIRWISE)]
    assert len({*names}) == 5
    assert pictures.name_of("brute") == "brute"


def test_numbers_on_axes_are_written_out():
    written = [pictures._count(value) for value in (0.01, 0.5, 1, 10, 1500, 1e6)]
    assert written == ["0.01", "0.5", "1", "10", "1,500", "1,000,000"]
    assert [pictures._minor(value) for value in (0.2, 2, 3, 50, 90)] == ["0.2", "2", "", "50", ""]
