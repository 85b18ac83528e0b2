"""A report on a small publication, as `report` makes it, with real retrievers."""

import base64
import json
import os

import pytest

from lightfm_retriever.publication.labels import read_label
from tests.machine import children_of
from tests.unit.trainer.report import catalogue
from tests.unit.trainer.report.reading import Page
from trainer.__main__ import main
from trainer.index import measure
from trainer.report import deployment, scaling

ITEMS = 200
PICTURES = ["scaling", "precision", "curves", "deployments"]


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What the report of a publication left in its folder, and what the command printed."""
    folder = tmp_path_factory.mktemp("report")
    volume, output = folder / "volume", folder / "some" / "where"
    version = catalogue.publish_to(volume)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "_SECONDS", 0.05)
        patch.setattr(scaling, "_PAIRWISE_SECONDS", 0.05)
        patch.setattr(deployment, "_WORKERS", [1])
        before = children_of(os.getpid())
        flags = ["--volume", volume, "--output", output, "--max-items", ITEMS, "--seed", 3]
        # Another kind would take as long again.
        flags += ["--backend", "annoy", "--index-threads", 1, "--json"]
        printed = folder / "printed"
        with printed.open("w") as file:
            patch.setattr("sys.stdout", file)
            assert main(["report", *map(str, flags)]) == 0
        assert children_of(os.getpid()) == before
    return volume, version, output, json.loads(printed.read_text())


def test_a_page_that_needs_no_other_file_its_pictures_and_its_figures_are_written(report):
    volume, version, output, printed = report
    assert printed == {"page": str(output / "report.html"), "directory": str(output)}
    names = {path.name for path in output.iterdir()}
    assert names == {"report.html", "report.json", *(f"{name}.png" for name in PICTURES)}
    # Nothing but reading was done with the volume.
    assert read_label(volume, "current") == version
    assert [path.name for path in (volume / "versions").iterdir()] == [version]
    page = Page((output / "report.html").read_text("utf-8"))
    inside = [base64.b64decode(image.partition(",")[2]) for image in page.images]
    assert inside == [(output / f"{name}.png").read_bytes() for name in PICTURES]
    assert page.headings[0] == f"Indexes of {version}"
    assert [heading[:3] for heading in page.headings[2:]] == ["(a)", "(b)", "(c)", "(d)", "(e)"]
    assert "<b>own</b> & vectors" in page.text
    assert catalogue.SCRIPT in page.text


def test_deployments_have_the_time_and_the_memory_of_real_retrievers(report):
    [row] = json.loads((report[2] / "report.json").read_text("utf-8"))["deployments"]
    assert (row["items"], row["backend"]) == (ITEMS, "annoy")
    assert min(row["index_seconds"], row["publish_seconds"], row["load_seconds"]) > 0
    assert 0 <= row["build_seconds"] <= row["index_seconds"]
    assert row["index_bytes"] > 0
    # It has an interpreter of its own.
    assert row["pss_bytes"].keys() == {"1"}
    assert row["pss_bytes"]["1"] > 5e6
