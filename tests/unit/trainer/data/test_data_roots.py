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
    for name in ("data/sub", "data/days/day=1", "other", "secret", "data-old"):
        (base / name).mkdir(parents=True)
    for name in ("data/a.csv", "data/sub/b.csv", "other/c.csv", "secret/s.csv", "data-old/d.csv"):
        (base / name).write_text(name)
    links = {"out": "secret", "in": "data/sub", "over": "other", "dangling": "secret/none"}
    for name, target in {**links, "days/day=1/fine": "data/a.csv"}.items():
        (base / "data" / name).symlink_to(base / target)
    (base / "data/loop").symlink_to("loop")
    os.mkfifo(base / "data/pipe")
    return base


@pytest.fixture(scope="module")
def roots(places):
    return DataRoots([places / "data", places / "other"])


INSIDE = {
    "a.csv": "data/a.csv",
    "./sub/../a.csv": "data/a.csv",
    "sub": "data/sub",
    "days": "data/days",
    "in/b.csv": "data/sub/b.csv",
    "over/c.csv": "other/c.csv",
    "{}/other/c.csv": "other/c.csv",
    "../other/c.csv": "other/c.csv",
}
# The last but one begin with the name of an allowed directory.
OUTSIDE = """
../secret/s.csv {}/secret/s.csv {}/data/../secret/s.csv /etc/passwd / .. out/s.csv out dangling
{}/data-old/d.csv ../data-old/d.csv ~/a.csv/../../../secret
"""


@pytest.mark.parametrize(("path", "found"), INSIDE.items())
def test_a_path_inside_is_given_without_links_and_dots(places, roots, path, found):
    assert roots.resolve(path.format(places)) == places / found


@pytest.mark.parametrize("path", OUTSIDE.split())
def test_a_path_that_leads_out_is_refused_whether_it_exists_or_not(places, roots, path):
    path = path.format(places)
    where = f"in one of the allowed directories: {places}/data, {places}/other$"
    with pytest.raises(DataRootError, match=f"^--items is {path!r}, but should be {where}"):
        roots.resolve(path, option="--items")
    with pytest.raises(DataRootError, match="should be left out: no directory is allowed"):
        DataRoots([]).resolve(path)


@pytest.mark.parametrize("path", ["", "a\0.csv", "loop", "x" * 5000, "\ud800"])
def test_what_is_no_path_or_missing_or_no_file_is_told(places, roots, path):
    with pytest.raises(DataRootError, match=r"^--interactions is "):
        roots.resolve(path)
    gone = f"'none.csv', but should be an existing path: {places}/data/none.csv doesn't exist$"
    with pytest.raises(DataRootError, match=gone):
        roots.resolve("none.csv")
    with pytest.raises(DataRootError, match=r"is 'pipe', but should be a file or a folder$"):
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


def test_links_of_folders_are_followed(tmp_path):
    """An allowed directory is what it leads to; a link within a folder may not lead out."""
    folder = tmp_path / "real" / "day=1"
    folder.mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    roots = DataRoots([tmp_path / "link"])
    assert roots.resolve("day=1") == roots.resolve(f"{tmp_path}/link/day=1") == folder
    (tmp_path / "secret").write_text("secret")
    (folder / "0.parquet").symlink_to(tmp_path / "secret")
    with pytest.raises(DataRootError, match=f"but {folder}/0.parquet leads elsewhere"):
        roots.resolve("day=1")


def test_an_sqlite_file_has_to_be_inside_too_and_other_addresses_are_those_of_a_caller(places, roots):
    inside = roots.resolve_url("sqlite:///sub/../a.csv")
    assert database_url.parse(inside).path == places / "data/a.csv"
    url = "postgresql://ann:secret@host/shop"
    assert roots.resolve_url(url) == database_url.for_caller(url)
    outside = "--database-url is .*, but should be in one of the all"
    for wrong, reason in (
        *((f"sqlite:///{path}", outside) for path in ("../secret/s.csv", f"{places}/secret/s.csv")),
        ("postgresql://host/shop", "with a user and a password"),
        ("mysql://ann:secret@host/shop", r"--database-url is 'mysql://\*\*\*'"),
    ):
        with pytest.raises(OptionError, match=reason):
            roots.resolve_url(wrong)
