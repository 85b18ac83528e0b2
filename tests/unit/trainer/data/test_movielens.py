"""The dataset's reader and the fetching of it, without the network and without the dataset."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from lightfm_retriever.publication.attributes import TextColumn
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


def test_fetching_unpacks_the_three_files_and_nothing_else(wheel, tmp_path):
    directory = movielens.fetch(tmp_path / "new" / "data")
    assert directory == tmp_path / "new" / "data" / "movielens-100k"
    contents = {path.name: path.read_text() for path in directory.iterdir()}
    assert contents.pop(".complete") == ""
    assert contents == dict(
        zip(["interactions.tsv", "items.tsv", "users.tsv"], FILES.values(), strict=True)
    )


def test_only_what_was_interrupted_is_fetched_again(fetched, monkeypatch):
    directory = fetched / "movielens-100k"
    (directory / ".complete").unlink()
    (directory / "items.tsv").write_text("cut")
    movielens.fetch(fetched)
    assert (directory / "items.tsv").read_text() == FILES["ml-100k.item"]
    monkeypatch.setattr(movielens, "_download", lambda _: pytest.fail("downloaded"))
    assert movielens.fetch(fetched) == directory


def test_a_wheel_of_another_hash_is_refused(wheel, tmp_path, monkeypatch):
    found = movielens._WHEEL_SHA256
    monkeypatch.setattr(movielens, "_WHEEL_SHA256", "0" * 64)
    with pytest.raises(
        TrainerError, match=f"{wheel.name}: SHA-256 is {found}, but should be {'0' * 64}"
    ):
        movielens.fetch(tmp_path / "data")
    assert list((tmp_path / "data" / "movielens-100k").iterdir()) == []
    with pytest.raises(DatasetMissingError):
        movielens.read_interactions(tmp_path / "data")


def test_the_wheel_is_pinned_and_downloaded_alone_and_a_failure_says_why(tmp_path, monkeypatch):
    commands = []
    done = [subprocess.CompletedProcess([], 1, "", "ERROR: no network\n")]
    done.append(subprocess.CompletedProcess([], 0, "", ""))

    def run(command, **options):
        commands.append(command)
        (tmp_path / "a.whl").touch()
        return done.pop()

    monkeypatch.setattr(subprocess, "run", run)
    assert movielens._download(tmp_path) == tmp_path / "a.whl"
    [command] = commands
    assert command[:4] == [sys.executable, "-m", "pip", "download"]
    assert {"--no-deps", "--only-binary=:all:", "recbole==1.2.1"} <= {*command}
    assert command[command.index("--dest") + 1] == str(tmp_path)
    with pytest.raises(TrainerError, match=r"downloading recbole==1\.2\.1 failed: ERROR: no network$"):
        movielens.fetch(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(wheel, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(TrainerError, match="file/movielens-100k: can't be written: Not a directory"):
        movielens.fetch(tmp_path / "file")


@pytest.mark.parametrize(
    "read",
    [
        movielens.read_interactions,
        lambda data_dir: movielens.read_items(data_dir, []),
        lambda data_dir: movielens.read_users(data_dir, []),
    ],
)
def test_without_the_dataset_it_says_how_to_get_it(tmp_path, read):
    with pytest.raises(
        DatasetMissingError, match="python -m trainer fetch-dataset movielens-100k"
    ) as caught:
        read(tmp_path)
    assert (caught.value.name, caught.value.directory) == (
        "movielens-100k",
        tmp_path / "movielens-100k",
    )


def test_interactions_are_the_ratings_in_file_order(fetched):
    read = movielens.read_interactions(fetched)
    assert read.name == "movielens-100k"
    assert [read.user_ids[user] for user in read.users] == ["196", "186", "196"]
    assert [read.item_ids[item] for item in read.items] == ["242", "302", "302"]
    np.testing.assert_array_equal(read.weights, [3, 5, 1])
    np.testing.assert_array_equal(read.timestamps, [881250949, 891717742, 881250950])


def test_items_have_titles_with_the_year_and_items_and_users_chosen_features(fetched):
    users = movielens.read_users(fetched, movielens.USER_COLUMNS)
    assert users.ids == ["186", "196"]
    assert users.features[0] == ["age:39", "gender:F", "occupation:executive", "zip_code:00000"]
    assert movielens.read_users(fetched, ["gender"]).features == [["gender:F"], ["gender:M"]]
    read = movielens.read_items(fetched, ["genres"])
    assert read.ids == ["242", "302"]
    assert read.titles == ["Kolya (1996)", "L.A. Confidential (1997)"]
    assert read.features[0] == ["genres:Comedy"]
    assert read.features[1] == ["genres:Crime", "genres:Film-Noir", "genres:Mystery", "genres:Thriller"]
    assert movielens.read_items(fetched, []).features == [[], []]
    assert movielens.read_items(fetched, movielens.ITEM_COLUMNS).features[0] == [
        "genres:Comedy",
        "release_year:1996",
    ]


def source_of(data_dir, **changes):
    data = DataSpec(dataset=movielens.NAME, **changes)
    return read_source(data, data_dir=data_dir, event_log=None)


def test_all_columns_of_the_items_are_attributes_unless_some_are_chosen(fetched):
    path = fetched / "movielens-100k" / "items.tsv"
    # Instead of a year the dataset has a word for two films.
    path.write_text(path.read_text() + "267\tunknown\tunkonwn\t\n1358\tThe Deadly Cure\tV\tAction\n")
    genres, year = source_of(fetched).items.attributes
    noir = ["Crime", "Film-Noir", "Mystery", "Thriller"]
    assert genres == TextColumn("genres", [["Comedy"], noir, [], ["Action"]])
    assert year.name == "release_year"
    np.testing.assert_array_equal(year.values, [1996, 1997, np.nan, np.nan])
    # Features and titles have the file's own words.
    read = source_of(fetched, item_features=["release_year"]).items
    assert read.features[2:] == [["release_year:unkonwn"], ["release_year:V"]]
    assert read.titles[2] == "unknown (unkonwn)"
    assert [own.name for own in read.attributes] == ["genres", "release_year"]

    [chosen] = source_of(fetched, item_attributes=["release_year:text"]).items.attributes
    assert chosen == TextColumn("release_year", [["1996"], ["1997"], [], []])
    with pytest.raises(OptionError) as caught:
        source_of(fetched, item_attributes=["genres", "class:text"])
    assert str(caught.value) == (
        "--item-attributes is 'class', but should be among genres, release_year"
    )


def test_a_damaged_file_is_named(fetched):
    path = fetched / "movielens-100k" / "interactions.tsv"
    path.write_text("user_id:token\titem_id:token\n1\t2\n")
    with pytest.raises(InputError, match=f"{path}: column rating:float, timestamp:float is missing"):
        movielens.read_interactions(fetched)
