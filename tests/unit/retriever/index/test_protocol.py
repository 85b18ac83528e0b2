"""Backends that aren't here; what each is opened with is in test_facts.py."""

import sys

import pytest

import retriever.index
from retriever.errors import SnapshotError
from retriever.index import open_index
from tests import publications
from tests.unit.retriever.index.asking import names


@names
def test_a_backend_that_is_not_known_is_named_with_those_that_are(published, name):
    file = f"{name}.scann"
    (published.directory / f"{name}.annoy").rename(published.directory / file)

    def edit(content):
        content["indexes"][name].update(backend="scann", file=file)
        content["files"][file] = content["files"].pop(f"{name}.annoy")

    publications.edit_manifest(published.directory, edit)
    with pytest.raises(SnapshotError) as caught:
        open_index(published.open(), name)
    assert str(caught.value) == (
        f"{published.directory / file}: index '{name}' needs backend 'scann', but this retriever knows "
        "only annoy, exact, faiss, nmslib: upgrade it"
    )


@names
@pytest.mark.parametrize("backend", ["faiss", "nmslib"])
def test_a_backend_that_is_not_installed_is_named_with_how_to_install_it(
    published_by, monkeypatch, backend, name
):
    published = published_by(backend)
    # The module that needs it may have been imported by another test.
    monkeypatch.delitem(sys.modules, f"retriever.index.{backend}", raising=False)
    monkeypatch.delattr(retriever.index, backend, raising=False)
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(SnapshotError) as caught:
        open_index(published.open(), name)
    assert str(caught.value) == (
        f"{published.directory / f'{name}.{backend}'}: index '{name}' needs backend '{backend}', "
        f"whose module '{backend}' isn't installed here: pip install 'lightfm-retriever[{backend}]'"
    )
    # What is missing says nothing of the others, in the same process.
    assert open_index(published_by("annoy").open(), name)
