"""Families by name, and the settings that a user may give them."""

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from tests.unit.trainer.models.blocks import planted
from trainer import models
from trainer.errors import ExtraMissingError, OptionError
from trainer.models.given import GivenHyperparameters
from trainer.models.protocol import Shape

PROJECT = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]
SHAPE = Shape.of(planted())


def test_each_name_is_its_families_and_each_extra_exists():
    assert models.LIGHTFM in models.NAMES
    assert models.AUTO not in models.NAMES
    for name in models.NAMES:
        own = models.family(name)
        assert own.name == name
        assert not own.extra or own.extra in PROJECT["optional-dependencies"]


def test_a_family_without_its_package_is_refused_before_anything_else(monkeypatch):
    for name in (*models.NAMES, models.AUTO):
        models.check_installed(name)
    monkeypatch.setitem(sys.modules, "implicit", None)
    models.check_installed("ease")
    models.check_installed(models.AUTO)
    for name in ("als", "bpr"):
        with pytest.raises(ExtraMissingError, match=rf"--model {name} needs 'implicit'.*\[models\]"):
            models.check_installed(name)


@pytest.mark.parametrize("name", models.NAMES)
def test_what_is_not_given_is_chosen_by_the_data(name):
    family = models.family(name)
    assert family.filled(SHAPE, {}) == family.default(SHAPE)


def test_what_is_given_by_flag_or_name_is_kept():
    als = models.family("als")
    given = GivenHyperparameters(components=7, seed=9)
    found = models.settings_of(als, given, {"alpha": "2.5", "epochs": "3"})
    assert found == {"components": 7, "alpha": 2.5, "epochs": 3}
    expected = replace(als.default(SHAPE), components=7, alpha=2.5, epochs=3)
    assert als.filled(SHAPE, found) == expected


@pytest.mark.parametrize(
    ("model", "given", "settings", "message"),
    [
        ("ease", {"components": 3}, {}, "--components is 3, but should be left out with --model ease"),
        ("als", {"loss": "warp"}, {}, "--loss is 'warp', but should be left out with --model als"),
        (
            "als",
            {},
            {"alfa": "1"},
            "regularization, alpha, weights with --model als",
        ),
        ("als", {}, {"alfa": "1"}, "did you mean alpha?"),
        ("als", {}, {"alpha": "much"}, "--set is 'alpha=much', but should be alpha a number above 0"),
        ("als", {}, {"alpha": "inf"}, "--set is 'alpha=inf', but should be alpha above 0"),
        ("als", {"epochs": 2}, {"epochs": "3"}, "should be left out, since --epochs is given"),
        ("lightfm", {}, {"seed": "3"}, "--set is 'seed=3', but should be one of loss, components"),
        ("bpr", {"sample_weights": True}, {}, "--sample-weights is set, but should be left out"),
    ],
)
def test_what_a_family_cannot_use_is_refused(model, given, settings, message):
    with pytest.raises(OptionError) as caught:
        models.settings_of(models.family(model), GivenHyperparameters(**given), settings)
    assert message in str(caught.value)


def test_the_flags_load_no_library_that_fits():
    code = """
import sys
import trainer.spec
from trainer.models import listing
listing.described()
print([name for name in ("lightfm", "implicit", "scipy", "pandas") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
