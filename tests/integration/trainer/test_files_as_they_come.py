"""Files of public datasets train without an editor: `inspect` prints a command, and it works."""

import json
import shlex

import pytest

from lightfm_retriever.publication.reader import list_versions
from tests.public_files import SHAPES
from tests.trainer_service import TrainerService

QUICK = ["--components", "4", "--epochs", "2", "--index-threads", "1", "--backend", "exact"]
# The last letters of a quick test may have too few users to be evaluated.
ANYHOW = ["--allow-unevaluated"]


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    for name in ("TRAINER_VOLUME", "TRAINER_DATA_DIR", "TRAINER_LISTEN", "TRAINER_STATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_printed_command_trains(here, tmp_path, shape):
    shape.write(tmp_path)
    status, shown, _ = here("inspect", *shape.files)
    assert status == 0
    command = shlex.split(shown.splitlines()[-1])
    assert command[:2] == ["lightfm-trainer", "train"]
    status, shown, errors = here(*command[1:], *QUICK, *ANYHOW)
    assert (status, "24 users, 16 items" in shown) == (0, True), errors
    assert len(list_versions(tmp_path / "volume")) == 1
    skipped = tmp_path / f"{shape.files[0]}.skipped.csv"
    assert skipped.exists() == bool(shape.invalid)


def test_a_search_reads_the_file_in_the_same_way(here, tmp_path):
    shape = SHAPES["Book-Crossing"]
    shape.write(tmp_path)
    flags = ["--interactions", shape.files[0], "--separator", ";", "--positive-from", "4"]
    search = ["--trials", "1", "--components", "4", "8", "--max-epochs", "5", "--json"]
    status, shown, errors = here("tune", *flags, *search)
    assert status == 0, errors
    assert json.loads(shown)["dataset"] == "BX-Book-Ratings.csv"


def test_inspection_as_json_has_the_facts_and_the_command(here, tmp_path):
    shape = SHAPES["MovieLens 1M"]
    shape.write(tmp_path)
    status, shown, errors = here("inspect", *shape.files, "--json")
    assert (status, errors) == (0, "")
    found = json.loads(shown)
    assert found["command"] == shlex.join(found["arguments"])
    ratings, movies, users = found["files"]
    assert ratings["written"] == {
        "format": "CSV",
        "separator": "::",
        "encoding": "utf-8",
        "has_header": False,
        "date_format": None,
    }
    assert ratings["interactions"]["users"] == 24
    assert ratings["interactions"]["weights"] == [1.0, 3.0, 5.0]
    assert [column["read_as"] for column in movies["columns"]] == ["item_id", "title", None]
    assert users["table"] == {"rows": 24, "titles": None, "matching": 24, "invalid": {}}


def test_options_about_one_kind_say_what_the_only_file_is(here, tmp_path):
    (tmp_path / "a.txt").write_text("1~x~2\n2~y~3\n1~y~4\n")
    status, shown, _ = here(
        "inspect", "a.txt", "--separator", "~", "--header", "user_id,item_id,weight"
    )
    assert status == 0
    assert shown.startswith("a.txt: interactions, CSV, separator '~'")
    header = "--item-header item_id,title,tag"
    status, shown, _ = here("inspect", "a.txt", "--item-separator", "~", *header.split())
    assert (status, shown.startswith("a.txt: items, CSV, separator '~'")) == (0, True)
    assert "  1 invalid rows:\n    1: item_id is also in an earlier row\n" in shown
    assert "--skip-invalid" in shown.splitlines()[-1]


def test_mistakes_are_told_as_by_train(here, tmp_path):
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    status, _, errors = here("inspect", "a.csv")
    assert status == 1
    assert errors.startswith("error: a.csv: column user_id, item_id is missing; the columns are: x, y")
    status, _, errors = here("inspect")
    assert status == 2
    assert "a file of interactions, items or users" in errors
    for flags, message in (
        (["--separator", "ab"], "--separator is 'ab', but should be 1 to 8 characters"),
        (["--items", "nowhere.csv"], "nowhere.csv: No such file"),
        (["--columns", "user_id"], "'user_id' should be NAME=COLUMN, such as user_id=userId"),
    ):
        status, _, errors = here("inspect", "a.csv", *flags)
        assert status in (1, 2)
        assert message in errors


def test_a_run_of_a_service_reads_the_file_in_the_same_way(here, tmp_path):
    shape = SHAPES["online retail"]
    (tmp_path / "data").mkdir()
    shape.write(tmp_path / "data")
    flags = ["--interactions", shape.files[0], *shlex.split(shape.flags)]
    with TrainerService(
        tmp_path / "volume", tmp_path / "state", data_root=tmp_path / "data", keep_all=True
    ) as service:
        target = ["--target", service.target]
        status, shown, errors = here("train", *flags, *QUICK, *ANYHOW, *target, "--json")
        assert status == 0, errors
        run = json.loads(shown)
        [skipped] = [own for own in run["warnings"] if "left out" in own]
        path = tmp_path / "state" / "logs" / f"{run['id']}.skipped.csv"
        assert str(path) in skipped
        assert len(path.read_text().splitlines()) == 1 + shape.invalid
        status, _, errors = here("train", *flags, "--skipped-file", "x.csv", *target)
        assert status == 2
        assert "--skipped-file is 'x.csv', but should be used without --target" in errors
