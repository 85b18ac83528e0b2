"""Which kinds of index there are, and how they are chosen by name."""

import sys
import tomllib
from pathlib import Path

import pytest

from lightfm_retriever.hosting import extras
from trainer.errors import BackendMissingError, OptionError
from trainer.index import NAMES, distributions, installed, make_backends, stand_ins

PROJECT = tomllib.loads((Path(__file__).parents[4] / "pyproject.toml").read_text())["project"]


@pytest.fixture
def without(monkeypatch):
    def without(name):
        # None makes an import fail as if there were no such module.
        monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.delitem(sys.modules, f"trainer.index.{name}", raising=False)

    return without


def names(backends):
    return [backend.name for backend in backends]


def test_several_are_made_once_each_and_another_name_is_refused():
    assert names(make_backends(" faiss , annoy,faiss")) == ["faiss", "annoy"]
    # Each process has its own copy of such an index, so it is there by name only.
    assert names(make_backends("nmslib,auto")) == ["exact", "annoy", "faiss", "nmslib"]
    for given, near in (("", ""), ("annoy,", ""), ("Annoy", "annoy"), ("anoy;", "annoy"), ("x", "")):
        with pytest.raises(OptionError, match="--backend is ") as caught:
            make_backends(given)
        meant = f"; did you mean {near}?" if near else ""
        expected = f"but should be among auto, annoy, exact, faiss, nmslib{meant}"
        assert str(caught.value).endswith(expected)
    # Trees are for Annoy.
    _, annoy, _ = make_backends("auto", trees=7)
    assert annoy.rounds(1000, "cosine") == [[{"trees": 7}]]
    with pytest.raises(OptionError, match="--trees is 7, but should be left out"):
        make_backends("faiss,nmslib", trees=7)


@pytest.mark.parametrize("name", ["faiss", "nmslib"])
def test_one_that_is_not_installed_is_an_error_that_tells_what_to_install(without, name):
    without(name)
    for given in (f"annoy,{name}", f"auto,{name}"):
        with pytest.raises(BackendMissingError) as caught:
            make_backends(given)
        assert str(caught.value) == (
            f"backend '{name}' needs '{extras.package_of(name)}', which isn't installed: "
            f"pip install 'lightfm-retriever[{name}]'"
        )
    # And that is an extra of this project, with the package that is needed.
    [needed] = PROJECT["optional-dependencies"][name]
    assert needed.startswith(name)


def test_auto_and_stand_ins_do_with_what_is_installed(without):
    assert names(installed()) == [*NAMES] == ["annoy", "exact", "faiss", "nmslib"]
    without("faiss")
    assert names(installed()) == ["annoy", "exact", "nmslib"]
    assert names(make_backends("auto,nmslib")) == ["exact", "annoy", "nmslib"]
    assert stand_ins(make_backends("annoy")) == []
    without("nmslib")
    assert names(installed()) == ["annoy", "exact"]
    assert names(make_backends("auto")) == ["exact", "annoy"]
    # What isn't asked for isn't imported.
    assert "trainer.index.faiss" not in sys.modules


@pytest.mark.parametrize(
    ("asked", "packages", "others"),
    [
        ("annoy,nmslib", ["annoy", "nmslib"], ["faiss"]),
        ("exact", [], ["annoy", "faiss"]),
        ("auto", ["annoy", "faiss-cpu"], []),
    ],
)
def test_packages_are_told_and_what_workers_share_may_stand_in(asked, packages, others):
    assert distributions(make_backends(asked)) == packages
    assert names(stand_ins(make_backends(asked))) == others
