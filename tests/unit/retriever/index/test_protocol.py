from __future__ import annotations

import importlib.metadata
import sys
from dataclasses import replace
from importlib.abc import MetaPathFinder

import pytest

import retriever.index
from retriever.errors import SnapshotError
from retriever.index.protocol import check_facts, count_of
from tests import publications
from tests.unit.retriever.index.asking import names, opened

FACTS = publications.index_facts(dimensions=4, file="similar.annoy")


def test_facts_that_fit_are_no_error():
    check_facts("similar", FACTS, metric="angular", dimensions=4)


@pytest.mark.parametrize(
    ("metric", "dimensions", "message"),
    [
        ("cosine", 4, "index 'similar' has metric 'angular', but should have 'cosine'"),
        ("angular", 5, "index 'similar' has dimensions 4, but should have 5"),
    ],
)
def test_facts_that_do_not_fit_are_named_with_both_values(metric, dimensions, message):
    with pytest.raises(SnapshotError, match=message):
        check_facts("similar", FACTS, metric=metric, dimensions=dimensions)


@pytest.mark.parametrize("value", [-1, 0, 1, 100, 2**31 - 1])
def test_a_query_parameter_is_a_count(value):
    facts = replace(FACTS, query={"candidates": value})
    assert count_of("similar", facts, "candidates", 7) == value
    assert count_of("similar", facts, "search_k", 7) == 7


@pytest.mark.parametrize("value", [-2, 2**31, 1.0, "1", True, False, None])
def test_a_query_parameter_that_is_no_count_is_named(value):
    facts = replace(FACTS, query={"search_k": value})
    with pytest.raises(
        SnapshotError, match=r"index 'similar': query.search_k is .* which isn't a count"
    ):
        count_of("similar", facts, "search_k", -1)


# ---- backends that aren't here


def with_backend(published, name, backend):
    """The same publication, which says that another backend made one of its indexes."""
    file = f"{name}.{backend}"
    (published.directory / f"{name}.annoy").rename(published.directory / file)

    def edit(content):
        content["indexes"][name].update(backend=backend, file=file)
        content["files"][file] = content["files"].pop(f"{name}.annoy")

    publications.edit_manifest(published.directory, edit)
    return published.directory / file


@names
def test_a_backend_that_is_not_known_is_named_with_those_that_are(published, name):
    file = with_backend(published, name, "scann")
    with pytest.raises(SnapshotError) as caught:
        opened(published, name)
    assert str(caught.value) == (
        f"{file}: index '{name}' needs backend 'scann', but this retriever has "
        "annoy, exact, faiss, nmslib"
    )


@pytest.fixture
def without(monkeypatch):
    """Makes it so that a package isn't installed."""

    def without(package):
        # The module that needs it may have been imported by another test.
        monkeypatch.delitem(sys.modules, f"retriever.index.{package}", raising=False)
        monkeypatch.delattr(retriever.index, package, raising=False)
        monkeypatch.delitem(sys.modules, package, raising=False)

        class Missing(MetaPathFinder):
            def find_spec(self, name, path=None, target=None):  # noqa: ARG002
                if name == package:
                    raise ModuleNotFoundError(f"No module named {name!r}", name=name)

        monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])

    return without


@names
@pytest.mark.parametrize("backend", ["faiss", "nmslib"])
def test_a_backend_that_is_not_installed_is_named_with_how_to_install_it(
    published_by, without, backend, name
):
    published = published_by(backend)
    without(backend)
    with pytest.raises(SnapshotError) as caught:
        opened(published, name)
    assert str(caught.value) == (
        f"{published.directory / f'{name}.{backend}'}: index '{name}' needs backend '{backend}', "
        f"whose module '{backend}' isn't installed here: pip install 'lightfm-retriever[{backend}]'"
    )
    # What is missing says nothing of the others, in the same process.
    assert opened(published_by("annoy"), name)


def test_each_extra_that_is_advised_is_one_that_there_is():
    provided = importlib.metadata.metadata("lightfm-retriever").get_all("Provides-Extra")
    assert {"faiss", "nmslib"} <= {*provided}
