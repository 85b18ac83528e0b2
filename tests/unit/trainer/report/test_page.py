from __future__ import annotations

import base64
from dataclasses import replace

import pytest

from lightfm_retriever.publication.manifest import DatasetFacts
from tests import publications
from tests.unit.trainer.report import made
from tests.unit.trainer.report.reading import Page, assert_self_contained
from trainer.report import page
from trainer.report.pictures import name_of
from trainer.report.scaling import PAIRWISE

PICTURES = ("scaling", "precision", "curves", "deployments")


@pytest.fixture
def pictures(tmp_path):
    """Files that only have to be in the page as they are."""
    paths = {name: tmp_path / f"{name}.png" for name in PICTURES}
    for name, path in paths.items():
        path.write_bytes(b"\x89PNG " + name.encode())
    return paths


@pytest.fixture
def render(pictures):
    """The page of made-up figures, some of them changed."""

    def render(manifest=None, accuracy=None, points=None, deployments=None, conditions=("a < b",)):
        return page.render(
            manifest or publications.complete_manifest(),
            made.accuracy() if accuracy is None else accuracy,
            made.points() if points is None else points,
            made.deployments() if deployments is None else deployments,
            pictures=pictures,
            conditions=conditions,
        )

    return render


def test_the_page_has_every_section_and_needs_no_other_file(render):
    text = render()
    assert_self_contained(text)
    read = Page(text)
    assert read.declaration == "doctype html"
    manifest = publications.complete_manifest()
    assert read.headings == [
        f"Indexes of {manifest.version}",
        "What is published",
        "(a) Time per query and number of vectors",
        "(b) Precision on the held-out test",
        "(c) Recall and time per query",
        "(d) Build time, file size, memory",
        "(e) Samples",
    ]
    assert f"{manifest.items} items, {manifest.users} users" in read.text
    assert '<meta charset="utf-8">' in text


def test_the_pictures_are_in_the_page_as_they_are(render, pictures):
    read = Page(render())
    inside = [base64.b64decode(image.removeprefix("data:image/png;base64,")) for image in read.images]
    assert inside == [pictures[name].read_bytes() for name in PICTURES]
    assert len({*read.alternatives}) == 4
    assert all(read.alternatives)


def test_what_comes_from_data_is_shown_and_not_run(render):
    script = "<script>alert(1)</script>"
    manifest = publications.facts(
        version="v\"><img src='//x'>",
        created_at="<i>now</i>",
        dataset=DatasetFacts(
            name=script,
            split="own",
            train_interactions=1,
            test_interactions=1,
            item_features=[],
            user_features=[],
        ),
    )
    sample = made.Sample(script, ["a\nb", script], {"exact": [script, "&amp;"]})
    text = render(
        manifest,
        made.accuracy(["exact"], users=[sample], items=[sample]),
        conditions=[script, "x & y"],
    )
    assert_self_contained(text)
    read = Page(text)
    assert len(read.images) == 4
    assert read.headings[0] == f"Indexes of {manifest.version}"
    assert read.text.count(script) >= 2
    assert "<i>now</i>" in read.text
    users = read.table("seen")
    assert users.body == [[script, f"a\nb\n{script}", f"{script}\n&amp;"]]


def test_without_held_out_interactions_the_page_says_so(render, pictures):
    pictures["precision"].unlink()
    read = Page(render(accuracy=made.accuracy(precision=[])))
    assert "The publication has no held-out interactions" in read.text
    assert len(read.images) == 3
    assert "(b) Precision on the held-out test" in read.headings
    assert not any("seen excluded" in table.head for table in read.tables)


def test_the_tables_hold_the_figures(render):
    read = Page(render())
    manifest = publications.complete_manifest()

    published = read.table("index", "settings measured")
    assert [row[0] for row in published.body] == list(manifest.indexes)
    for row, index in zip(published.body, manifest.indexes.values(), strict=True):
        assert row[1:] == [
            "Annoy",
            "trees 10, seed 1, threads 1",
            "search_k -1, candidates 100",
            "0.95",
            f"{index.recall_at_10:.4f}",
            f"{index.query_microseconds:.0f}",
            "2",
        ]

    points = made.points()
    assert read.table("vectors", "µs a query").body == [
        [
            point.vectors,
            f"{point.items:,}",
            name_of(point.backend),
            f"{point.query_microseconds:,.0f}",
            f"{point.recall_at_10:.4f}",
            f"{point.build_seconds:,.2f}",
            f"{point.file_bytes / 1e6:,.1f}",
        ]
        for point in points
    ]
    assert {point.backend for point in points} == {PAIRWISE, *made.BACKENDS}

    precision = read.table("seen excluded")
    assert precision.body[0] == [
        "exact, by matrix product (BLAS)",
        "0.1234",
        "0.1334",
        "0.1434",
        "0.1534",
    ]
    assert precision.head[1:] == [
        "all items",
        "seen excluded",
        "all items, no item biases",
        "seen excluded, no item biases",
    ]
    assert len(precision.body) == 4

    built = read.table("load, s")
    assert built.head[-3:] == ["PSS of 1 worker, MB", "PSS of 2 workers, MB", "PSS of 4 workers, MB"]
    for row, deployment in zip(built.body, made.deployments(), strict=True):
        assert row[:2] == [f"{deployment.items:,}", name_of(deployment.backend)]
        assert row[6] == f"{deployment.total_seconds:,.2f}"
        assert float(row[6]) == pytest.approx(sum(map(float, row[3:6])), abs=0.02)
        assert row[8:] == [f"{bytes_ / 1e6:,.0f}" for bytes_ in deployment.pss_bytes.values()]


def test_users_without_a_vector_are_held_against_those_with_one(render):
    metrics = {
        "test_precision_at_10_trained": 0.25,
        "test_precision_at_10_folded_in": 0.2125,
        "test_precision_at_10_features_only": 0.1875,
        "test_precision_at_10_popular": 0.125,
    }
    manifest = publications.complete_manifest()
    read = Page(render(replace(manifest, metrics=metrics)))
    assert "Users without a vector" in read.text
    assert read.table("of that by their own vectors").body == [
        ["by their own vectors", "0.2500", "100%"],
        ["by what they have seen", "0.2125", "85%"],
        ["by their features alone", "0.1875", "75%"],
        ["by what is popular", "0.1250", "50%"],
    ]
    metrics["test_precision_at_10_trained"] = 0.0
    ratios = Page(render(replace(manifest, metrics=metrics))).table("of that by their own vectors").body
    assert {row[2] for row in ratios} == {"-"}
    # Nothing is known of them in an older publication.
    assert "Users without a vector" not in Page(render()).text


def test_an_older_publication_was_not_tuned(render):
    manifest = publications.complete_manifest()
    index = publications.index_facts(dimensions=4, file="similar.annoy")
    index = replace(index, target_recall=None, trials=[], query={})
    read = Page(render(replace(manifest, indexes={"similar": index})))
    [row] = read.table("index", "settings measured").body
    assert row[3:5] == ["-", "not tuned"]
    assert row[-1] == "0"


def test_where_nobody_is_to_be_shown_the_page_says_so(render):
    read = Page(render(accuracy=made.accuracy(users=[])))
    assert "There is none." in read.text


def test_a_backend_of_ones_own_has_its_own_name(render):
    read = Page(
        render(
            accuracy=made.accuracy(["brute"]),
            points=made.points(["brute"]),
            deployments=made.deployments(["brute"]),
        )
    )
    assert "brute" in read.table("seen").head
    assert {row[1] for row in read.table("load, s").body} == {"brute"}
