"""A manifest edited by hand is refused, whichever field was edited.

Edited and signed anew it is refused too, where serving from it could go wrong.
"""

from __future__ import annotations

import hashlib
import json
import re

import pytest

from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    ManifestError,
    MismatchError,
    MissingFileError,
    UnsupportedFormatError,
)
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.verification import verify
from tests import publications

CONTENT = json.loads(manifest.encode(publications.complete_manifest()))


def leaves(value, path=()):
    """Paths of all values in a JSON value that hold no other values; empty containers are such."""
    children = {}
    if isinstance(value, dict):
        children = value
    elif isinstance(value, list):
        children = dict(enumerate(value))
    if not children:
        yield path
    for key, child in children.items():
        yield from leaves(child, (*path, key))


def spelled(path):
    return "/".join(map(str, path))


LEAVES = list(leaves(CONTENT))


def get(content, path):
    for key in path:
        content = content[key]
    return content


def put(content, path, value):
    get(content, path[:-1])[path[-1]] = value


def edited(value):
    """Another value of the same type, where the type has one."""
    if value is None:
        return 0
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value / 2 if isinstance(value, float) else value + 1
    if isinstance(value, str):
        return value[:-1] + ("1" if value[-1] == "0" else "0")
    return ["x"] if isinstance(value, list) else {"x": "y"}


def test_the_example_has_the_fields_of_a_real_manifest(published):
    real = json.loads((published.directory / layout.MANIFEST).read_bytes())
    assert list(leaves(real)) == LEAVES
    assert len(LEAVES) > 70


@pytest.mark.parametrize("path", LEAVES, ids=spelled)
def test_an_edited_field_is_noticed(published, path):
    publications.edit_manifest(
        published.directory, lambda content: put(content, path, edited(get(content, path))), sign=False
    )
    error = UnsupportedFormatError if path == ("format_version",) else ManifestError
    for read in (verify, open_publication):
        with pytest.raises(error) as caught:
            read(published.volume, published.version)
        assert caught.value.path == published.directory / layout.MANIFEST


@pytest.mark.parametrize("path", LEAVES, ids=spelled)
def test_a_removed_field_is_noticed(published, path):
    publications.edit_manifest(
        published.directory, lambda content: get(content, path[:-1]).pop(path[-1]), sign=False
    )
    with pytest.raises(InvalidPublicationError) as caught:
        verify(published.volume, published.version)
    assert caught.value.path == published.directory / layout.MANIFEST


def test_an_added_field_is_noticed(published):
    publications.edit_manifest(published.directory, lambda content: content.update(x=1), sign=False)
    with pytest.raises(ManifestError, match="edited after publication"):
        verify(published.volume, published.version)


def test_the_checksum_of_another_manifest_is_noticed(published):
    other = json.loads((published.older_directory / layout.MANIFEST).read_bytes())
    publications.edit_manifest(
        published.directory, lambda content: content.update(checksum=other["checksum"]), sign=False
    )
    with pytest.raises(ManifestError, match=other["checksum"]):
        verify(published.volume, published.version)


def test_the_manifest_of_another_version_is_noticed(published):
    data = (published.older_directory / layout.MANIFEST).read_bytes()
    publications.overwrite(published.directory / layout.MANIFEST, data)
    with pytest.raises(ManifestError, match=f"{published.older}.*{published.version}"):
        verify(published.volume, published.version)


# What follows is signed anew. Each row: the field, its new value, the file at fault, both values.
ITEMS, USERS, COMPONENTS = publications.ITEMS, publications.USERS, publications.COMPONENTS
SIGNED = [
    (("format_version",), 2, layout.MANIFEST, 2, 1),
    (("version",), "20261124T120000Z-000000", layout.MANIFEST, "20261124T120000Z-000000", None),
    (("items",), ITEMS + 1, layout.MANIFEST, ITEMS + 1, ITEMS),
    (("items",), ITEMS - 1, layout.MANIFEST, ITEMS - 1, ITEMS),
    (("users",), USERS + 1, layout.USER_IDS, USERS + 1, USERS),
    (("users",), 0, layout.USER_IDS, 0, USERS),
    (("components",), COMPONENTS + 1, layout.ITEM_VECTORS, COMPONENTS + 2, COMPONENTS + 1),
    (("components",), 1, layout.ITEM_VECTORS, 2, COMPONENTS + 1),
    *(
        row
        for index, file, swapped in (
            (layout.SIMILAR, publications.SIMILAR_FILE, publications.RECOMMEND_FILE),
            (layout.RECOMMEND, publications.RECOMMEND_FILE, publications.SIMILAR_FILE),
        )
        for row in (
            (("indexes", index, "items"), ITEMS - 1, layout.MANIFEST, ITEMS - 1, ITEMS),
            (("indexes", index, "file"), swapped, layout.MANIFEST, swapped, file),
            (("indexes", index, "file"), layout.ITEM_IDS, layout.MANIFEST, layout.ITEM_IDS, file),
            (("indexes", index, "file"), f"../{file}", layout.MANIFEST, f"../{file}", file),
            (("indexes", index, "backend"), "nmslib", layout.MANIFEST, file, f"{index}.nmslib"),
        )
    ),
    *((("files", name, "size"), 0, name, 0, None) for name in publications.ALL_FILES),
    *((("files", name, "size"), 10**6, name, 10**6, None) for name in publications.ALL_FILES),
    *((("files", name, "sha256"), "0" * 64, name, "0" * 64, None) for name in publications.ALL_FILES),
]


@pytest.mark.parametrize(
    ("path", "value", "file", "one", "other"), SIGNED, ids=lambda part: str(part)[:60]
)
def test_an_edit_that_was_signed_anew_is_refused_by_what_it_contradicts(
    published, path, value, file, one, other
):
    before = get(json.loads((published.directory / layout.MANIFEST).read_bytes()), path)
    publications.edit_manifest(published.directory, lambda content: put(content, path, value))
    with pytest.raises(InvalidPublicationError) as caught:
        verify(published.volume, published.version)
    assert caught.value.path == published.directory / file
    message = str(caught.value)
    for expected in (one, before if other is None else other):
        assert re.search(rf"(?<!\w){re.escape(str(expected))}(?!\w)", message), (expected, message)


def test_the_number_of_items_is_held_against_the_files_too(published):
    def edit(content):
        content["items"] = ITEMS + 1
        for index in content["indexes"].values():
            index["items"] = ITEMS + 1

    publications.edit_manifest(published.directory, edit)
    with pytest.raises(MismatchError, match="number of ids is 12, but should be 13"):
        verify(published.volume, published.version)


@pytest.mark.parametrize(
    "name",
    ["../items.trie", "/etc/passwd", "a/b", "..", "", ".hidden", "a\\b", "a\0b", "manifest.json"],
)
def test_a_file_name_that_leads_elsewhere_is_refused_though_signed(published, name):
    publications.edit_manifest(
        published.directory,
        lambda content: content["files"].update({name: content["files"][layout.ITEM_IDS]}),
    )
    with pytest.raises(ManifestError, match="isn't a plain file name") as caught:
        verify(published.volume, published.version)
    assert caught.value.path == published.directory / layout.MANIFEST
    assert repr(name) in str(caught.value)


def test_more_files_than_any_version_has_are_refused_though_signed(published):
    """They are looked at one by one, and told to each worker."""
    facts = {"size": 0, "sha256": hashlib.sha256(b"").hexdigest()}

    def add(content):
        for number in range(manifest.MAX_FILES + 1 - len(content["files"])):
            content["files"][f"extra{number}.npy"] = facts

    publications.edit_manifest(published.directory, add)
    with pytest.raises(ManifestError, match="files: there are 101, but a version has at most 100"):
        verify(published.volume, published.version)


@pytest.mark.parametrize("name", [name for name in publications.ALL_FILES if name != layout.ITEM_NORMS])
def test_a_file_that_must_be_named_is_missed_though_signed(published, name):
    publications.edit_manifest(published.directory, lambda content: content["files"].pop(name))
    with pytest.raises(ManifestError, match="files"):
        verify(published.volume, published.version)


@pytest.mark.parametrize("name", [layout.SIMILAR, layout.RECOMMEND])
def test_an_index_that_must_be_there_is_missed_though_signed(published, name):
    publications.edit_manifest(published.directory, lambda content: content["indexes"].pop(name))
    with pytest.raises(ManifestError, match=f"indexes: '{name}' is missing"):
        verify(published.volume, published.version)


def test_a_file_that_is_named_must_be_there(published):
    publications.edit_manifest(
        published.directory,
        lambda content: content["files"].update({"extra.npy": content["files"][layout.ITEM_IDS]}),
    )
    with pytest.raises(MissingFileError, match=r"extra\.npy"):
        verify(published.volume, published.version)


@pytest.mark.parametrize(
    "created_at", ["", "yesterday", "2026-11-24T12:00:00", "2026-11-24T12:00:00+01:00"]
)
def test_a_time_that_is_not_in_utc_is_refused_though_signed(published, created_at):
    publications.edit_manifest(
        published.directory, lambda content: content.update(created_at=created_at)
    )
    with pytest.raises(ManifestError, match="created_at"):
        verify(published.volume, published.version)


@pytest.mark.parametrize(
    ("depths", "reason"),
    [
        ([(10, 1.0)], "depths: 10 results come after 10, but should ascend, from above 10"),
        ([(30, 1.0), (30, 2.0)], "depths: 30 results come after 30"),
        ([(100, 1.0), (30, 2.0)], "depths: 30 results come after 100"),
        ([(30, 1e308)], "<= 1000000000.0"),
    ],
)
def test_depths_that_no_search_can_use_are_refused_though_signed(published, depths, reason):
    written = [{"results": results, "effort": effort, "recall": 1.0} for results, effort in depths]
    publications.edit_manifest(
        published.directory, lambda content: content["indexes"][layout.SIMILAR].update(depths=written)
    )
    with pytest.raises(ManifestError, match=reason):
        verify(published.volume, published.version)


@pytest.mark.parametrize("wrong", [None, True, -1, 1.5, [], [[]], {"x": [None]}], ids=json.dumps)
@pytest.mark.parametrize("key", [key for key in CONTENT if key not in ("format_version", "checksum")])
def test_a_field_of_another_type_is_refused_though_signed(published, key, wrong):
    publications.edit_manifest(published.directory, lambda content: content.update({key: wrong}))
    with pytest.raises(ManifestError) as caught:
        verify(published.volume, published.version)
    assert caught.value.path == published.directory / layout.MANIFEST


@pytest.mark.parametrize("path", [path for path in LEAVES if path != ("checksum",)], ids=spelled)
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")], ids=str)
def test_nan_and_infinity_are_refused_everywhere_though_signed(published, path, wrong):
    publications.edit_manifest(published.directory, lambda content: put(content, path, wrong))
    with pytest.raises(InvalidPublicationError) as caught:
        verify(published.volume, published.version)
    assert caught.value.path == published.directory / layout.MANIFEST


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("indexes", layout.SIMILAR, "recall_at_10"), 1.5),
        (("indexes", layout.SIMILAR, "recall_at_10"), -0.1),
        (("indexes", layout.SIMILAR, "dimensions"), 0),
        (("indexes", layout.SIMILAR, "items"), 0),
        (("items",), 0),
        (("components",), 0),
        (("users",), -1),
        (("files", layout.ITEM_IDS, "size"), -1),
        (("files", layout.ITEM_IDS, "sha256"), "F" * 64),
        (("run", "seconds", "train"), -1.0),
    ],
    ids=str,
)
def test_a_number_out_of_range_is_refused_though_signed(published, path, value):
    publications.edit_manifest(published.directory, lambda content: put(content, path, value))
    with pytest.raises(ManifestError):
        verify(published.volume, published.version)


def _rewrite(directory, change):
    path = directory / layout.MANIFEST
    publications.overwrite(path, change(path.read_text()).encode())


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: re.sub(r',\s*"checksum": "[0-9a-f]+"', "", text), "there is no checksum, but"),
        (
            lambda text: text.replace('"checksum": "', '"checksum": null, "x": "'),
            "checksum is null, but",
        ),
        (lambda text: text.replace("{", '{"items": 41,', 1), "'items' is there twice: it was edited"),
        (
            lambda text: text.replace('"indexes": {', '"indexes": {"x": 1, "x": 1,'),
            "'x' is there twice",
        ),
        (lambda text: text.replace('"items": ', '"items": ' + "9" * 5000, 1), "more than 64 bits"),
        (
            lambda text: text.replace('"format_version": 1', '"format_version": null'),
            "no format_version",
        ),
    ],
)
def test_what_no_manifest_of_ours_has_is_said_in_our_words(published, change, said):
    _rewrite(published.directory, change)
    with pytest.raises(InvalidPublicationError, match=re.escape(said)) as caught:
        open_publication(published.volume, published.version)
    assert not re.search(r"None|set_int_max|sys\.", str(caught.value))


LONG = "x" * 100_000


@pytest.mark.parametrize(
    ("change", "sign"),
    [
        (lambda content: content.update(checksum=LONG), False),
        (lambda content: content.update(checksum=[1] * 10_000), False),
        (lambda content: content.update(format_version=LONG), True),
        (lambda content: content.update(format_version=[None] * 10_000), True),
        (lambda content: content.update(version=LONG), True),
        (lambda content: content.update(created_at=LONG), True),
        (lambda content: content["files"].update({LONG + "/": content["files"]["items.trie"]}), True),
        (lambda content: content["files"].update({LONG: content["files"]["items.trie"]}), True),
        (lambda content: content["indexes"].update({LONG: content["indexes"]["similar"]}), True),
        (lambda content: content["indexes"]["similar"].update(file=LONG), True),
        (lambda content: content["indexes"]["similar"].update(file="y", backend=LONG), True),
    ],
)
def test_what_is_endless_is_cut_in_messages(published, change, sign):
    publications.edit_manifest(published.directory, change, sign=sign)
    with pytest.raises(InvalidPublicationError) as caught:
        verify(published.volume, published.version)
    assert len(str(caught.value)) < len(str(published.directory)) + 600
