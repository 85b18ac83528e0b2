from dataclasses import replace

import pytest

from tests import publications
from tests.unit.trainer.report import made
from tests.unit.trainer.report.reading import Page
from trainer.report import page
from trainer.report.pictures import name_of

MANIFEST = publications.complete_manifest()


@pytest.fixture
def pictures(tmp_path):
    """Files that only have to be in the page as they are."""
    paths = {name: tmp_path / name for name in ("scaling", "precision", "curves", "deployments")}
    for path in paths.values():
        path.write_bytes(b"\x89PNG")
    return paths


@pytest.fixture
def render(pictures):
    """The page of made-up figures, some of them changed."""

    def render(manifest=MANIFEST, *, conditions=("a < b",), backends=made.BACKENDS, **changes):
        figures = made.accuracy(backends, **changes), made.points(backends), made.deployments(backends)
        text = page.render(manifest, *figures, pictures=pictures, conditions=conditions)
        assert text.startswith("<!doctype html>")
        assert '<meta charset="utf-8">' in text
        return Page(text)

    return render


def test_what_comes_from_data_is_shown_and_not_run(render):
    script = "<script>alert(1)</script>"
    own = {"version": "v\"><img src='//x'>", "created_at": "<i>now</i>"}
    manifest = replace(MANIFEST, dataset=replace(MANIFEST.dataset, name=script), **own)
    sample = made.Sample(script, ["a\nb", script], {"exact": [script, "&amp;"]})
    data = {"users": [sample], "items": [sample]}
    read = render(manifest, conditions=[script, "x & y"], backends=["exact"], **data)
    assert len(read.images) == 4
    assert read.headings[0] == f"Indexes of {manifest.version}"
    assert read.text.count(script) >= 2
    assert "<i>now</i>" in read.text
    assert read.table("seen") == [[script, f"a\nb\n{script}", f"{script}\n&amp;"]]


def test_what_there_is_not_is_said(render, pictures):
    pictures["precision"].unlink()
    # An older publication was not tuned.
    index = publications.index_facts(dimensions=4, file="similar.annoy")
    index = replace(index, target_recall=None, trials=[], query={})
    # A backend of one's own has its own name.
    manifest = replace(MANIFEST, indexes={"similar": index})
    read = render(manifest, backends=["brute"], precision=[], users=[])
    assert "The publication has no held-out interactions" in read.text
    assert "The publication has no samples." in read.text
    assert len(read.images) == 3
    assert not any("seen excluded" in head for head, *_ in read.tables)
    [row] = read.table("index", "settings measured")
    assert (row[3:5], row[-1]) == (["-", "not tuned"], "0")
    assert read.tables[-1][0] == ["", "brute"]
    assert {row[1] for row in read.table("load, s")} == {"brute"}


def test_the_tables_hold_the_figures(render):
    read = render()
    # Nothing is known of them in an older publication.
    assert "Users without a vector" not in read.text
    published = read.table("index", "settings measured")
    settings = ["Annoy", "trees 10, seed 1, threads 1", "search_k -1, candidates 100"]
    figures = ["0.95", "1.0000", "26", "2"]
    assert published == [[name, *settings, *figures] for name in MANIFEST.indexes]

    points = read.table("vectors", "µs a query")
    assert [row[0] for row in points] == [point.vectors for point in made.points()]
    scikit, annoy = points[5], points[7]
    assert scikit[1:] == ["10,000", name_of("scikit-learn"), "110", "0.9700", "8.10", "0.0"]
    assert annoy[1:] == ["10,000", "Annoy", "130", "0.4200", "8.10", "4.0"]
    precision = read.table("seen excluded")
    exact = ["exact, by matrix product (BLAS)", "0.1234", "0.1334", "0.1434", "0.1534"]
    assert (precision[0], len(precision)) == (exact, 4)
    built = read.table("load, s", "PSS of 1 worker, MB", "PSS of 4 workers, MB")
    assert [row[1] for row in built] == [name_of(row.backend) for row in made.deployments()]
    seconds = ["10.00", "21.00", "0.25", "0.12", "21.38"]
    assert built[5] == ["100,000", "Annoy", *seconds, "50.0", "50", "60", "80"]


def test_users_without_a_vector_are_held_against_those_with_one(render):
    metrics = {"test_precision_at_10_trained": 0.25, "test_precision_at_10_popular": 0.125}
    read = render(replace(MANIFEST, metrics=metrics))
    assert "Users without a vector" in read.text
    rows = [["by their own vectors", "0.2500", "100%"], ["by the most popular items", "0.1250", "50%"]]
    assert read.table("share of that with own vectors") == rows
    metrics["test_precision_at_10_trained"] = 0.0
    ratios = render(replace(MANIFEST, metrics=metrics)).table("share of that with own vectors")
    assert {row[2] for row in ratios} == {"-"}


def test_measures_are_told_by_length_of_the_list_and_by_segment(render):
    metrics = {
        "test_ndcg_at_5_unseen": 0.25,
        "test_ndcg_at_10_unseen": 0.3,
        "test_recall_at_10_unseen": 0.5,
    }
    facts = publications.EVALUATION
    read = render(replace(MANIFEST, metrics=metrics, evaluation=facts))
    first, second = read.table("NDCG", "hit rate")
    assert first == ["5", "0.2500", "-", "-", "-", "-", "-"]
    # The interval is known where the error is.
    assert second[:4] == ["10", "0.3000 (0.290-0.310)", "-", "0.5000"]
    segments = read.table("segment", "NDCG@10")
    assert [row[:5] for row in segments] == [
        [own.by, own.value, own.rule, str(own.users), "0.2500"] for own in facts.segments
    ]
    alone = render(replace(MANIFEST, metrics=metrics))
    assert "Segments of the test" not in alone.text
    assert "Measures by length of the list" in alone.text
