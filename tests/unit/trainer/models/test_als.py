"""ALS by the package `implicit`: its penalty suits the data, and its errors are ours."""

import sys

import pytest

from tests.unit.trainer.models.blocks import planted, share_in_block
from trainer.errors import DivergedError, ExtraMissingError
from trainer.models.als import Als, AlsSettings
from trainer.models.protocol import Fitting, Shape


def test_the_penalty_is_never_above_what_the_data_can_bear():
    small = Als().default(Shape.of(planted()))
    assert 0 < small.regularization <= AlsSettings().regularization
    tiny = Als().default(Shape(users=2, items=9, positives=4, squares=8))
    assert 0 < tiny.regularization < AlsSettings().regularization
    assert Als().default(Shape(users=1000, items=1000, positives=10**5, squares=10**7)) == AlsSettings()
    # By the default alone, a small data set can be learned.
    assert share_in_block(Als().fit(planted(), small, Fitting(seed=1)), planted()) > 0.9


def test_a_penalty_that_leaves_nothing_is_an_error_and_no_noise():
    with pytest.raises(DivergedError, match="all scores are nearly 0; lower the regularization"):
        Als().fit(planted(), AlsSettings(regularization=1e4), Fitting(seed=1))


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "implicit", None)
    monkeypatch.setitem(sys.modules, "implicit.cpu.als", None)
    assert not Als().is_installed()
    with pytest.raises(ExtraMissingError, match=r"--model als needs 'implicit.*retriever\[models\]'"):
        Als().fit(planted(), AlsSettings(), Fitting())


def test_variations_stay_in_their_ranges():
    for start in (AlsSettings(components=8), AlsSettings(components=256), AlsSettings()):
        assert all(8 <= one.components <= 256 for one in Als().around(start))
