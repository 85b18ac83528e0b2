"""A report on a small publication, as `report` makes it, with real retrievers."""

from __future__ import annotations

import base64
import importlib.metadata
import json
import os
import struct
from pathlib import Path

import pytest

from lightfm_retriever.publication.labels import read_label
from lightfm_retriever.publication.reader import open_publication
from tests.unit.trainer.report import catalogue
from tests.unit.trainer.report.reading import Page, assert_self_contained
from trainer.__main__ import main
from trainer.index import measure
from trainer.report import deployment, scaling
from trainer.report.pictures import name_of

BACKENDS = ["exact", "annoy"]
ITEMS = 200
PICTURES = ["scaling", "precision", "curves", "deployments"]
WORKERS = [1, 2]


def children():
    """Processes that this one has started and not waited for, and theirs that outlived them."""
    own = Path(f"/proc/{os.getpid()}/task")
    return {pid for task in own.iterdir() for pid in (task / "children").read_text().split()}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What the report of a publication left in its folder, and what the command printed."""
    folder = tmp_path_factory.mktemp("report")
    volume, output = folder / "volume", folder / "some" / "where"
    version = catalogue.publish_to(volume)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_SECONDS", 0.05)
        patch.setattr(scaling, "_PAIRWISE_SECONDS", 0.05)
        patch.setattr(deployment, "_WORKERS", WORKERS)
        before = children()
        flags = ["--volume", volume, "--output", output, "--max-items", ITEMS, "--seed", 3]
        flags += ["--backend", ",".join(BACKENDS), "--index-threads", 1, "--json"]
        printed = folder / "printed"
        with printed.open("w") as file:
            patch.setattr("sys.stdout", file)
            assert main(["report", *map(str, flags)]) == 0
        assert children() == before
    return volume, version, output, json.loads(printed.read_text())


@pytest.fixture(scope="module")
def figures(report):
    return json.loads((report[2] / "report.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def page(report):
    return Page((report[2] / "report.html").read_text("utf-8"))


def test_a_page_its_pictures_and_its_figures_are_written(report):
    volume, version, output, printed = report
    assert printed == {"page": str(output / "report.html"), "directory": str(output)}
    names = {path.name for path in output.iterdir()}
    assert names == {"report.html", "report.json", *(f"{name}.png" for name in PICTURES)}
    # Nothing but reading was done with the volume.
    assert read_label(volume, "current") == version
    assert [path.name for path in (volume / "versions").iterdir()] == [version]


def test_the_page_needs_no_other_file(report, page):
    output = report[2]
    assert_self_contained((output / "report.html").read_text("utf-8"))
    inside = [base64.b64decode(image.partition(",")[2]) for image in page.images]
    assert inside == [(output / f"{name}.png").read_bytes() for name in PICTURES]
    for data in inside:
        assert data.startswith(b"\x89PNG\r\n\x1a\n")
        width, height = struct.unpack(">II", data[16:24])
        assert 1000 <= width <= 3000
        assert 400 <= height <= 1500


def test_the_page_has_every_section(report, page):
    assert page.headings[0] == f"Indexes of {report[1]}"
    assert [heading[:3] for heading in page.headings[2:]] == ["(a)", "(b)", "(c)", "(d)", "(e)"]
    assert "<b>own</b> & vectors" in page.text
    assert catalogue.SCRIPT in page.text


def test_the_conditions_say_with_what_it_was_measured(figures, page):
    first, second, *more = figures["conditions"]
    assert more == []
    for name in ("lightfm-retriever", "numpy", "scikit-learn", "annoy"):
        assert f"{name} {importlib.metadata.version(name)}" in first
    assert "recall@10 0.95" in second
    assert "builds on 1; seed 3." in second
    assert first in page.text
    assert second in page.text


def test_time_against_size_is_of_every_backend_and_both_kinds_of_catalogue(figures):
    points = figures["scaling"]
    assert [(one["vectors"], one["items"], one["backend"]) for one in points] == [
        (kind, ITEMS, backend)
        for kind in ("repeated", "interpolated")
        for backend in (scaling.PAIRWISE, *BACKENDS)
    ]
    for one in points:
        assert one["query_microseconds"] > 0
        assert (one["file_bytes"] > 0) == (one["backend"] == "annoy")


def test_precision_is_that_of_the_publication(report, figures):
    volume, version = report[:2]
    metrics = open_publication(volume, version).manifest.metrics
    rows = figures["accuracy"]["precision"]
    assert [row["backend"] for row in rows] == BACKENDS
    assert rows[0]["all_items"] == pytest.approx(metrics["test_precision_at_10"])
    assert rows[0]["unseen"] == pytest.approx(metrics["test_precision_at_10_unseen"])


def test_curves_have_the_chosen_setting_of_every_backend(figures):
    for name in ("similar", "recommend"):
        chosen = figures["accuracy"]["chosen"][name]
        assert [one["backend"] for one in chosen] == BACKENDS
        for one in chosen:
            assert one in figures["accuracy"]["trials"][name]


def test_deployments_have_the_time_and_the_memory_of_real_retrievers(figures):
    rows = figures["deployments"]
    assert [(row["items"], row["backend"]) for row in rows] == [(ITEMS, name) for name in BACKENDS]
    for row in rows:
        parts = [row["index_seconds"], row["publish_seconds"], row["load_seconds"]]
        assert min(parts) > 0
        assert 0 <= row["build_seconds"] <= row["index_seconds"]
        assert (row["index_bytes"] > 0) == (row["backend"] != "exact")
        assert list(row["pss_bytes"]) == [*map(str, WORKERS)]
        memory = list(row["pss_bytes"].values())
        # Each has an interpreter of its own; with more of them more is shared, but nothing less held.
        assert memory == sorted(memory)
        assert memory[0] > 5e6


def test_the_page_has_tables_of_all_of_it(figures, page):
    users, items = figures["accuracy"]["users"], figures["accuracy"]["items"]
    assert len(users) == len(items) == 10
    heads = [name_of(name) for name in BACKENDS]
    shown = [table for table in page.tables if table.head[-2:] == heads]
    assert [table.head[:-2] for table in shown] == [["", "seen"], [""]]
    names = ("vectors", "µs a query"), ("seen excluded",), ("load, s",)
    counts = [len(page.table(*name).body) for name in names]
    assert counts == [2 * (1 + len(BACKENDS)), len(BACKENDS), len(BACKENDS)]
    for samples, table in zip((users, items), shown, strict=True):
        assert table.body == [
            [
                one["subject"],
                *(["\n".join(one["known"])] if samples is users else []),
                *("\n".join(one["answers"][name]) for name in BACKENDS),
            ]
            for one in samples
        ]
