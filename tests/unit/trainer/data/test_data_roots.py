from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.data.data_roots import DataRootError, DataRoots
from trainer.data.databases import url as database_url
from trainer.errors import OptionError

PARTS = st.sampled_from(["..", ".", "", "sub", "a.csv", "out", "loop", "secret", "other", "data"])


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Two allowed directories, `data` and `other`, beside one that isn't."""
    base = tmp_path_factory.mktemp("places")
    for name in ("data/sub", "other", "secret", "data-old"):
        (base / name).mkdir(parents=True)
    for name in ("data/a.csv", "data/sub/b.csv", "other/c.csv", "secret/s.csv", "data-old/d.csv"):
        (base / name).write_text(name)
    (base / "data/out").symlink_to(base / "secret")
    (base / "data/in").symlink_to(base / "data/sub")
    (base / "data/over").symlink_to(base / "other")
    (base / "data/loop").symlink_to("loop")
    (base / "data/dangling").symlink_to(base / "secret/none")
    os.mkfifo(base / "data/pipe")
    return base


@pytest.fixture(scope="module")
def roots(places):
    return DataRoots([places / "data", places / "other"])


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a.csv", "data/a.csv"),
        ("./sub/../a.csv", "data/a.csv"),
        ("sub", "data/sub"),
        ("in/b.csv", "data/sub/b.csv"),
        ("over/c.csv", "other/c.csv"),
        ("{}/other/c.csv", "other/c.csv"),
        ("../other/c.csv", "other/c.csv"),
    ],
)
def test_a_path_inside_is_given_without_links_and_dots(places, roots, path, found):
    assert roots.resolve(path.format(places)) == places / found


@pytest.mark.parametrize(
    "path",
    [
        "../secret/s.csv",
        "{}/secret/s.csv",
        "{}/data/../secret/s.csv",
        "/etc/passwd",
        "/",
        "..",
        "out/s.csv",
        "out",
        "dangling",
        # Begins with the name of an allowed directory.
        "{}/data-old/d.csv",
        "../data-old/d.csv",
        "~/a.csv/../../../secret",
    ],
)
def test_a_path_that_leads_out_is_refused_whether_it_exists_or_not(places, roots, path):
    path = path.format(places)
    with pytest.raises(DataRootError) as caught:
        roots.resolve(path, option="--items")
    assert str(caught.value) == (
        f"--items is {path!r}, but should be in one of the allowed directories: "
        f"{places}/data, {places}/other"
    )


@pytest.mark.parametrize("path", ["", "a\0.csv", "\0", "loop", "x" * 5000, "a/" * 3000, "\ud800"])
def test_a_path_that_is_none_is_refused(roots, path):
    with pytest.raises(DataRootError, match=r"^--interactions is "):
        roots.resolve(path)


def test_what_is_missing_or_no_file_is_told(places, roots):
    with pytest.raises(
        DataRootError, match=f"but should be there: {places}/data/none.csv doesn't exist"
    ):
        roots.resolve("none.csv")
    with pytest.raises(
        DataRootError, match="--interactions is 'pipe', but should be a file or a folder"
    ):
        roots.resolve("pipe")


@given(st.lists(PARTS, max_size=8), st.booleans())
def test_nothing_outside_is_ever_given(places, roots, parts, absolute):
    path = "/".join([str(places) if absolute else "data", *parts])
    try:
        resolved = roots.resolve(path)
    except DataRootError:
        return
    assert Path(os.path.realpath(resolved)) == resolved
    assert resolved.is_relative_to(places / "data") or resolved.is_relative_to(places / "other")


def test_a_folder_with_a_link_that_leads_out_is_refused(tmp_path):
    (tmp_path / "data" / "events" / "day=1").mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "data" / "inside").write_text("")
    roots = DataRoots([tmp_path / "data"])
    (tmp_path / "data" / "events" / "day=1" / "fine").symlink_to(tmp_path / "data" / "inside")
    assert roots.resolve("events") == tmp_path / "data" / "events"
    link = tmp_path / "data" / "events" / "day=1" / "0.parquet"
    link.symlink_to(tmp_path / "secret")
    with pytest.raises(DataRootError, match=f"but {link} leads elsewhere"):
        roots.resolve("events")


def test_an_allowed_directory_that_is_a_link_is_what_it_leads_to(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.csv").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    roots = DataRoots([tmp_path / "link"])
    assert roots.resolve("a.csv") == roots.resolve(f"{tmp_path}/link/a.csv") == tmp_path / "real/a.csv"


def test_without_allowed_directories_no_path_is_allowed(tmp_path):
    for path in (str(tmp_path), "a.csv", "/"):
        with pytest.raises(DataRootError, match="should be left out: no directory is allowed"):
            DataRoots([]).resolve(path)


def test_an_sqlite_file_has_to_be_inside_too(places, roots):
    url = roots.resolve_url("sqlite:///sub/../a.csv")
    assert database_url.parse(url).path == places / "data/a.csv"
    for wrong in (
        "sqlite:///../secret/s.csv",
        f"sqlite:///{places}/secret/s.csv",
        "sqlite:///out/s.csv",
    ):
        with pytest.raises(
            DataRootError, match=r"--database-url is .*, but should be in one of the all"
        ):
            roots.resolve_url(wrong)


def test_other_addresses_are_those_of_a_caller(roots):
    url = "postgresql://ann:secret@host/shop"
    assert roots.resolve_url(url) == database_url.for_caller(url)
    with pytest.raises(OptionError, match="with a user and a password"):
        roots.resolve_url("postgresql://host/shop")
    with pytest.raises(OptionError, match=r"--database-url is 'mysql://\*\*\*'"):
        roots.resolve_url("mysql://ann:secret@host/shop")
