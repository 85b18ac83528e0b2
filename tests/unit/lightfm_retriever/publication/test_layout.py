from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication import layout
from tests import publications

NO_FILE_NAMES = [
    *(
        "",
        ".",
        "..",
        "...",
        "/",
        "/etc/passwd",
        "a/b",
        "../items.trie",
        "a/../b",
        "a\\b",
        "..\\b",
        "C:x",
    ),
    *(
        "a..b",
        ".hidden",
        "trailing.",
        "items.trie\n",
        "\nitems.trie",
        "a b",
        "a\0b",
        "-option",
        "é.npy",
    ),
    *("\N{FULLWIDTH FULL STOP}\N{FULLWIDTH FULL STOP}", "x" * 101, layout.MANIFEST),
]
NO_VERSION_NAMES = [
    *("", "..", "staging", "publish-0123456789abcdef", "20261124T043500Z", "20261124T043500Z-3FA9C1"),
    *("20261124T043500Z-3fa9c", "20261124T043500Z-3fa9c1a", "20261124T043500Z-3fa9c1\n"),
    *("../20261124T043500Z-3fa9c1", "20261124T043500Z-3fa9c1/"),
    # Arabic-Indic digits.
    "٢٠٢٦١١٢٤T043500Z-3fa9c1",
]
LABELS = [layout.DEFAULT_LABEL, "canary", "a", "team_a-2", "a" * 64]
FILE_NAMES = [*publications.ALL_FILES, "x" * 100, "a.b-c_d.E9", "recommend.nmslib.dat"]


@pytest.mark.parametrize(
    ("is_name", "names", "others"),
    [
        (layout.is_file_name, FILE_NAMES, NO_FILE_NAMES),
        (layout.is_version_name, ["20261124T043500Z-3fa9c1"], NO_VERSION_NAMES),
        (
            layout.is_label_name,
            LABELS,
            ["", "Current", "1st", "-x", "a/b", "..", "a.b", "é", "a\n", "a" * 65],
        ),
    ],
)
def test_names_are_told_from_others(is_name, names, others):
    assert [name for name in names if not is_name(name)] == []
    assert [name for name in others if is_name(name)] == []


@given(st.text(alphabet=st.sampled_from("aZ0._-/\\\0 \né"), max_size=12))
def test_a_file_name_stays_in_its_directory(tmp_path_factory, name):
    directory = tmp_path_factory.getbasetemp()
    if layout.is_file_name(name):
        path = directory / name
        assert path.resolve().parent == directory.resolve()
        assert path.name == name


moments = st.datetimes(min_value=datetime(1000, 1, 1))  # noqa: DTZ001


@given(st.lists(moments, min_size=2, max_size=2))
def test_version_names_tell_their_second_and_sort_by_it(made):
    earlier, later = sorted(moment.replace(tzinfo=UTC) for moment in made)
    names = [layout.version_name(moment, "3fa9c1ab") for moment in (earlier, later)]
    assert names == sorted(names)
    for name, moment in zip(names, (earlier, later), strict=True):
        assert layout.is_version_name(name)
        assert name.endswith("-3fa9c1")
        assert layout.version_time(name) == moment.replace(microsecond=0)


@pytest.mark.parametrize(
    "name", ["", "20261124T120000Z", "20261324T120000Z-3fa9c1", "20261124T250000Z-3fa9c1"]
)
def test_what_tells_no_second_is_refused(name):
    with pytest.raises(ValueError, match=r"isn't a version's name|does not match|unconverted"):
        layout.version_time(name)


def test_the_parts_of_a_volume_lie_apart(tmp_path):
    version = layout.version_name(publications.NOON, "3fa9c1")
    parts = {
        layout.version_dir(tmp_path, version),
        layout.label_file(tmp_path, "current"),
        layout.history_file(tmp_path, "current"),
        layout.staging_dir(tmp_path) / version,
    }
    assert len({part.parent for part in parts}) == 4
    assert layout.version_dir(tmp_path, version).parent == layout.versions_dir(tmp_path)
