"""The notebook runs from start to end, its text is true, and it is committed without outputs."""

import json
import re
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from tests import movielens

ROOT = Path(__file__).parents[2]
PATH = ROOT / "docs/tutorials/movielens.ipynb"
SCRIPT = SimpleNamespace(**runpy.run_path(str(ROOT / "docs/notebook.py")))
MOST_LINES = 15
USERS = 943
# A last cell prints facts that the cells before it have found.
FACTS = """
import json

settings = [trial for own in chosen.values() for trial in own] + xbox_chosen
found = {
    "like_star_wars": titles[like_star_wars[:5]].tolist(),
    "precision": {
        "lightfm": model_precision, "angle": by_angle, "product": xbox_exact, **xbox_precision
    },
    "recalls": [[trial.library, trial.recall] for trial in settings],
    "same_order": same_order,
    "same_served": same,
    "largest_difference": largest,
    "methods": sorted({answer.method for answer in answers.values()}),
    "recommended": titles[recommended].tolist(),
    "served": [item.title for item in explained.items],
    "because": [[ids[film] for film in because[row]] for row in recommended],
    "served_because": [
        [own.item_id for own in item.explanation.contributions] for item in explained.items
    ],
    "served_like_star_wars": [item.title for item in similar.items],
    "left": Path(folder.name).exists(),
}
print(json.dumps(found, default=float))
"""

# The notebook trains twice and builds a dozen indexes.
pytestmark = [pytest.mark.timeout(400), pytest.mark.xdist_group("notebook")]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the notebook outside the repository; return it and its facts."""
    if reason := movielens.missing():
        pytest.skip(reason)
    notebook = SCRIPT.read(PATH)
    notebook.cells.append(nbformat.v4.new_code_cell(FACTS))
    SCRIPT.execute(
        notebook,
        working_directory=tmp_path_factory.mktemp("elsewhere"),
        TRAINER_DATA_DIR=str(movielens.DATA_DIR),
    )
    [facts] = notebook.cells.pop().outputs
    return SimpleNamespace(notebook=notebook, facts=json.loads(facts.text))


def test_it_is_committed_without_outputs():
    text = PATH.read_text("utf-8")
    assert SCRIPT.cleared(text) == text, "run 'python docs/notebook.py clear'"


def test_outputs_are_noticed_and_cleared():
    text = PATH.read_text("utf-8")
    notebook = SCRIPT.read(PATH)
    cell = next(cell for cell in notebook.cells if cell.cell_type == "code")
    cell.outputs, cell.execution_count = [nbformat.v4.new_output("stream", text="3\n")], 7
    cell.metadata["collapsed"] = True
    assert SCRIPT.as_text(notebook) != text
    assert SCRIPT.cleared(SCRIPT.as_text(notebook)) == text


def test_its_cells_are_short_and_its_text_has_no_measured_figure():
    for cell in SCRIPT.read(PATH).cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= MOST_LINES, cell.source
        else:
            assert not re.search(r"\d (ms|µs|s|seconds|%)\b|\d%", cell.source), cell.source


@pytest.mark.parametrize("working_directory", [ROOT, PATH.parent])
def test_it_finds_the_data_that_was_set_up(working_directory):
    parameters = next(cell for cell in SCRIPT.read(PATH).cells if cell.cell_type == "code").source
    done = subprocess.run(
        [sys.executable, "-c", f"{parameters}\nprint(DATA_DIR)"],
        cwd=working_directory,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )
    if movielens.DATA_DIR.exists():
        assert Path(done.stdout.strip()) == movielens.DATA_DIR


def test_it_puts_out_pictures_and_tables_but_no_noise_and_no_path_of_this_machine(run):
    outputs = [*SCRIPT.outputs(run.notebook)]
    assert [own for own in outputs if own.output_type == "stream" and own.name != "stdout"] == []
    # The last value of a cell is neither printed nor shown.
    assert [own for own in outputs if own.output_type == "execute_result"] == []
    kinds = [kind for own in outputs for kind in own.get("data", {})]
    assert kinds.count("image/png") == 5
    assert kinds.count("text/markdown") >= 6
    shown = json.dumps([own for own in outputs if "image/png" not in own.get("data", {})])
    for place in (ROOT, Path.home(), Path(sys.prefix), Path(tempfile.gettempdir())):
        assert str(place) not in shown


def test_the_films_nearest_to_star_wars_are_its_sequels(run):
    nearest = {"Return of the Jedi (1983)", "Empire Strikes Back, The (1980)"}
    assert nearest <= {*run.facts["like_star_wars"]}


def test_the_chosen_settings_find_what_exact_search_finds(run):
    recalls = run.facts["recalls"]
    assert [library for library, _ in recalls] == ["Annoy", "NMSLIB", "FAISS"] * 3
    assert min(recall for _, recall in recalls) >= 0.9


def test_the_transform_keeps_the_order_and_with_it_the_precision(run):
    assert run.facts["same_order"] == USERS
    precision = run.facts["precision"]
    assert precision["product"] == pytest.approx(precision["lightfm"], abs=1e-3)
    assert precision["lightfm"] >= 0.24
    for library in ("Annoy", "NMSLIB", "FAISS"):
        assert precision["angle"] + 0.02 < precision[library] <= precision["product"] + 0.01


def test_what_is_served_is_what_lightfm_scores(run):
    facts = run.facts
    # If two scores are almost equal, rounding decides which comes first.
    assert facts["same_served"] >= USERS - USERS // 100
    assert facts["largest_difference"] < 1e-4
    assert facts["methods"] == ["exact"]
    assert facts["served"] == facts["recommended"]
    assert facts["served_because"] == facts["because"]
    assert facts["served_like_star_wars"] == facts["like_star_wars"]
    assert not facts["left"]
