from __future__ import annotations

from dataclasses import replace

import pytest

from publication import layout
from publication.reader import open_publication
from retriever.errors import SnapshotError
from retriever.index import open_index
from retriever.index.protocol import check_facts, count_of
from tests import publications

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


@pytest.mark.parametrize("name", [layout.SIMILAR, layout.RECOMMEND])
def test_a_backend_that_is_not_known_is_named_with_those_that_are(published, name):
    file = f"{name}.nmslib"
    (published.directory / f"{name}.annoy").rename(published.directory / file)

    def edit(content):
        content["indexes"][name].update(backend="nmslib", file=file)
        content["files"][file] = content["files"].pop(f"{name}.annoy")

    publications.edit_manifest(published.directory, edit)
    publication = open_publication(published.volume, published.version)
    with pytest.raises(SnapshotError, match=r"needs backend 'nmslib', .* has annoy, exact") as caught:
        open_index(publication, name)
    assert str(published.directory / file) in str(caught.value)
