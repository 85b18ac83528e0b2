"""The names of a volume; a table of its files, which holds for who stages, opens and verifies."""

from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import InvalidPublicationError, MismatchError
from lightfm_retriever.publication.layout import FILES, FileSpec
from lightfm_retriever.publication.manifest import FORMAT_VERSIONS
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.storage.ragged import empty
from lightfm_retriever.publication.verification import verify
from lightfm_retriever.publication.writer import Staging
from tests import publications

VERSION = "20261124T043500Z-3fa9c1"


def test_names_are_told_from_others():
    odd_files = [".", "..", "...", "/", "/etc/passwd", "a/b", "../items.trie", "a\\b", "C:x", "a..b"]
    odd_files += [".hidden", "trailing.", "-option", "é.npy", "", "items.trie\n", "\nitems.trie", "a b"]
    odd_versions = ["", "..", "staging", VERSION[:-1], f"{VERSION}a", f"{VERSION}\n", f"../{VERSION}"]
    odd_versions += [VERSION.upper(), VERSION.replace("2026", "٢٠٢٦")]  # Arabic-Indic digits
    files = [*publications.ALL_FILES, "x" * 100, "a.b-c_d.E9"]
    odd_labels = ["", "Current", "1st", "-x", "a/b", "..", "a.b", "é", "a\n", "a" * 65]
    for is_name, names, others in (
        (layout.is_file_name, files, [*odd_files, "a\0b", "x" * 101, layout.MANIFEST]),
        (layout.is_version_name, [VERSION], odd_versions),
        (layout.is_label_name, [layout.DEFAULT_LABEL, "a", "team_a-2", "a" * 64], odd_labels),
    ):
        assert [name for name in names if not is_name(name)] == []
        assert [name for name in others if is_name(name)] == []


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
    for name in ("", "20261124T120000Z", "20261324T120000Z-3fa9c1", "20261124T250000Z-3fa9c1"):
        with pytest.raises(ValueError, match=r"isn't a version's name|does not match|unconverted"):
            layout.version_time(name)


NOVEL = "novel.npy"
ARRAY = np.arange(publications.ITEMS * 6, dtype=np.float32).reshape(publications.ITEMS, 6)


def test_a_new_array_is_one_entry(tmp_path, published, monkeypatch):
    spec = FileSpec(NOVEL, "made up", "items, components + 2", "float32", group="novel")
    monkeypatch.setitem(FILES, NOVEL, spec)
    with Staging(tmp_path) as staging:
        publications.stage(staging)
        for wrong in (ARRAY.astype(np.float64), ARRAY[:-1], ARRAY[:, :-1], ARRAY[0]):
            with pytest.raises(MismatchError, match=r"^novel\.npy: (dtype|shape) is ") as caught:
                staging.add_array(NOVEL, wrong)
            assert not staging.path(NOVEL).exists()
            if caught.value.what == "shape":
                assert (caught.value.expected, caught.value.found) == (ARRAY.shape, wrong.shape)
        staging.add_array(NOVEL, ARRAY)
        version = staging.publish(publications.facts()).version
    verify(tmp_path, version)
    opened = open_publication(tmp_path, version).files[NOVEL]
    np.testing.assert_array_equal(opened, ARRAY)
    assert not opened.flags.writeable
    spoilt = ARRAY.copy()
    spoilt[3, 1] = np.nan
    publications.reseal(layout.version_dir(tmp_path, version), NOVEL, publications.npy(spoilt))
    with pytest.raises(InvalidPublicationError, match=r"novel\.npy: row 3 isn't finite"):
        verify(tmp_path, version)
    # A version from before the entry is read.
    verify(published.volume, published.version)
    assert NOVEL not in open_publication(published.volume, published.version).files


def test_a_map_of_other_ids_than_rows_were_staged_is_refused(tmp_path):
    with Staging(tmp_path) as staging:
        staging.add_array(layout.ITEM_VECTORS, np.ones((3, 2), dtype=np.float32))
        with pytest.raises(MismatchError, match=r"^items\.trie: number of ids is 2, but should be 3"):
            staging.add_id_map(layout.ITEM_IDS, IdMap.build(["a", "b"]))
        staging.add_ragged(layout.SEEN_OFFSETS, layout.SEEN_ITEMS, empty(4))
        with pytest.raises(MismatchError, match=r"shape is \(3, 2\), but should be \(4, 2\)"):
            staging.add_array(layout.USER_VECTORS, np.ones((3, 2), dtype=np.float32))


def test_a_shape_is_told_by_sizes_and_tells_them():
    for shape, lengths, sizes in (
        ("items", (7,), {"items": 7}),
        ("users + 1", (6,), {"users": 5}),
        ("2 components + 3, components", (11, 4), {"components": 4}),
        ("n, components + 1", (None, 5), {"components": 4}),
        ("", (), {}),
    ):
        spec = FileSpec("x.npy", "", shape, "int32")
        assert spec.lengths({"items": 7, "users": 5, "components": 4}) == lengths
        assert dict(spec.sizes(tuple(9 if own is None else own for own in lengths))) == sizes
    # So does that of every entry.
    known = {"items", "users", "components", "numbers", "neighbours"}.union(
        *(own.shape.split() for own in FILES.values() if not own.dtype)
    )
    for spec in FILES.values():
        named = [length for length in spec.shape.split(", ") if length]
        told = [size for size, _ in spec.sizes((9,) * len(named))]
        assert len(spec.lengths({})) == len(named)
        # One that is misspelt would be any number.
        assert {*told, *filter(None, [spec.of])} <= known
        assert spec.since in FORMAT_VERSIONS
        if spec.values:
            assert (spec.dtype, FILES[spec.values].group) == ("int64", spec.group)
            assert (FILES[spec.values].kind, FILES[spec.values].since) == (spec.kind, spec.since)


def test_a_version_has_the_format_of_its_newest_file():
    assert layout.format_version(publications.EXTENDED_FILES) == 1
    assert layout.format_version([*publications.ALL_FILES, "of.tomorrow"]) == 1
    assert layout.format_version(publications.ITEM_ITEM_FILES) == 2
    for kind, files in layout.REQUIRED_FILES.items():
        assert layout.SCORING_FILES[kind] in files
        assert all(FILES[name].fits(kind) for name in files)
    # What came with the first format is in no item-item model only.
    assert {spec.kind for spec in FILES.values() if spec.since == 2} == {"neighbours"}
