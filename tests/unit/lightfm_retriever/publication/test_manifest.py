from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.errors import (
    InvalidPublicationError,
    ManifestError,
    UnsupportedFormatError,
)
from lightfm_retriever.publication.manifest import (
    DatasetFacts,
    FileFacts,
    IndexFacts,
    Manifest,
    MeasuredSetting,
    RunFacts,
)
from tests import publications

PATH = Path("volume/manifest.json")
EXAMPLE = publications.complete_manifest()


def decode(data, *, version=EXAMPLE.version):
    return manifest.decode(data, path=PATH, version=version)


texts = st.text(max_size=10)
counts = st.integers(0, 2**63 - 1)
positives = st.integers(1, 2**63 - 1)
shares = st.floats(0, 1)
durations = st.floats(0, allow_infinity=False)
numbers = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | numbers | texts
scalar_dicts = st.dictionaries(texts, scalars, max_size=4)
file_facts = st.builds(
    FileFacts, size=counts, sha256=st.text("0123456789abcdef", min_size=64, max_size=64)
)

trials = st.builds(
    MeasuredSetting,
    backend=texts,
    build=scalar_dicts,
    query=scalar_dicts,
    recall_at_10=shares,
    query_microseconds=durations,
)


@st.composite
def manifests(draw):
    items = draw(positives)
    files = [
        *publications.ALL_FILES,
        *draw(st.sets(st.from_regex(r"[a-z]{1,8}\.extra", fullmatch=True))),
    ]
    indexes = {
        name: IndexFacts(
            backend="annoy",
            metric=draw(texts),
            dimensions=draw(positives),
            items=items,
            file=draw(st.sampled_from([None, layout.index_file(name, "annoy")])),
            build=draw(scalar_dicts),
            query=draw(scalar_dicts),
            recall_at_10=draw(shares),
            query_microseconds=draw(durations),
            bare_recall_at_10=draw(shares),
            bare_query_microseconds=draw(durations),
            target_recall=draw(st.none() | shares),
            trials=draw(st.lists(trials, max_size=3)),
            build_seconds=draw(durations),
        )
        for name in (layout.SIMILAR, layout.RECOMMEND)
    }
    return Manifest(
        items=items,
        users=draw(counts),
        components=draw(positives),
        run=draw(
            st.builds(RunFacts, id=texts, started_at=texts, seconds=st.dictionaries(texts, durations))
        ),
        libraries=draw(st.dictionaries(texts, texts)),
        dataset=draw(
            st.builds(
                DatasetFacts,
                name=texts,
                split=texts,
                train_interactions=counts,
                test_interactions=counts,
                item_features=st.lists(texts),
                user_features=st.lists(texts),
            )
        ),
        hyperparameters=draw(scalar_dicts),
        metrics=draw(st.dictionaries(texts, numbers)),
        indexes=indexes,
        version=EXAMPLE.version,
        created_at=EXAMPLE.created_at,
        files={name: draw(file_facts) for name in files},
    )


@given(manifests())
def test_decoding_undoes_encoding(facts):
    data = manifest.encode(facts)
    assert decode(data) == facts
    assert manifest.encode(decode(data)) == data


def test_the_text_is_indented_json_in_utf8_with_a_checksum_that_can_be_recomputed():
    text = manifest.encode(EXAMPLE).decode()
    assert "példa" in text
    assert text.endswith("\n}\n")
    content = json.loads(text)
    assert content["format_version"] == 1
    assert content["checksum"] == publications.checksum(content)


@given(data=st.data())
def test_no_change_of_one_byte_passes_for_the_manifest(data):
    """White space may change."""
    encoded = bytearray(manifest.encode(EXAMPLE))
    encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    try:
        assert decode(bytes(encoded)) == EXAMPLE
    except InvalidPublicationError as error:
        assert error.path == PATH  # noqa: PT017 - either way is right


@given(st.integers(0, len(manifest.encode(EXAMPLE)) - 3))
def test_no_beginning_of_the_text_passes_for_the_manifest(size):
    with pytest.raises(ManifestError, match=r"manifest\.json"):
        decode(manifest.encode(EXAMPLE)[:size])


@given(st.binary(max_size=200))
def test_no_noise_passes_for_a_manifest(data):
    with pytest.raises(InvalidPublicationError):
        decode(data)


@pytest.mark.parametrize("text", ["[]", "1", '"x"', "null", "true", "NaN"])
def test_json_of_another_kind_is_refused(text):
    with pytest.raises(ManifestError, match="should be a JSON object, but is"):
        decode(text.encode())


@pytest.mark.parametrize("nested", [10, 900, 950, *range(960, 1000), 10_000, 1_000_000])
def test_json_nested_too_deep_is_refused(nested):
    for text in ('{"format_version": 1, "x": %s}', '{"format_version": %s}'):
        with pytest.raises((ManifestError, UnsupportedFormatError)):
            decode((text % ("[" * nested + "]" * nested)).encode())


@pytest.mark.parametrize("found", [0, 2, -1, 1.0, "1", True, None, [1], {}, 10**30])
def test_another_format_version_is_refused_whatever_else_the_manifest_holds(found):
    with pytest.raises(UnsupportedFormatError, match="this release reads 1 only") as caught:
        decode(json.dumps({"format_version": found}).encode())
    assert (caught.value.found, caught.value.supported) == (found, 1)
    said = {"[1]": "is a list", "{}": "is an object", "True": "is true", "None": "there is no"}
    assert said.get(str(found), f"is {found!r}") in str(caught.value)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_not_encoded(number):
    with pytest.raises(ValueError, match="not JSON compliant"):
        manifest.encode(replace(EXAMPLE, metrics={"auc": number}))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_not_finite_is_refused(number):
    text = manifest.encode(EXAMPLE).decode().replace("0.258", number)
    with pytest.raises(ManifestError, match="can't be checked"):
        decode(text.encode())


ODD = [
    ({"hyperparameters": {"loss": "\ud800"}}, r"the text '\\ud800' isn't Unicode"),
    ({"metrics": {"\ud800": 0.5}}, r"isn't Unicode"),
    ({"added": {"later": ["\udfff"]}}, r"isn't Unicode"),
    ({"items": 2**63}, "an integer has more than 64 bits"),
    ({"hyperparameters": {"epochs": -(2**63) - 1}}, "more than 64 bits"),
    ({"metrics": {"test_auc": 10**400}}, "more than 64 bits"),
]
"""What is valid JSON, but no message and no terminal can hold."""


@pytest.mark.parametrize(("changes", "reason"), ODD)
def test_what_no_listing_can_show_is_refused_though_signed(changes, reason):
    content = json.loads(manifest.encode(EXAMPLE)) | changes
    content["checksum"] = publications.checksum(content)
    with pytest.raises(ManifestError, match=f"can't be used: .*{reason}"):
        decode(json.dumps(content).encode())


def test_fields_that_a_later_release_adds_are_ignored():
    content = json.loads(manifest.encode(EXAMPLE))
    content["added"] = {"later": [1, None]}
    content["run"]["added"] = "later"
    content["indexes"][layout.SIMILAR]["added"] = "later"
    content["checksum"] = publications.checksum(content)
    assert decode(json.dumps(content).encode()) == EXAMPLE


ADDED = {"target_recall": None, "trials": [], "build_seconds": 0.0}
"""Fields of an index that came after the first release, and what they are when they aren't there."""


def test_an_index_from_before_there_was_tuning_has_none_of_its_fields():
    content = json.loads(manifest.encode(EXAMPLE))
    for index in content["indexes"].values():
        assert ADDED.keys() < index.keys()
        for name in ADDED:
            del index[name]
    content["checksum"] = publications.checksum(content)
    data = json.dumps(content, indent=2, ensure_ascii=False).encode() + b"\n"
    decoded = decode(data)
    for name, facts in decoded.indexes.items():
        assert facts == replace(EXAMPLE.indexes[name], **ADDED)
    assert manifest.encode(decoded) == data


@pytest.mark.parametrize("name", ADDED)
def test_each_field_of_the_tuning_may_be_missing_by_itself(name):
    content = json.loads(manifest.encode(EXAMPLE))
    del content["indexes"][layout.SIMILAR][name]
    content["checksum"] = publications.checksum(content)
    decoded = decode(json.dumps(content).encode())
    assert decoded.indexes[layout.SIMILAR] == replace(
        EXAMPLE.indexes[layout.SIMILAR], **{name: ADDED[name]}
    )
    assert decoded.indexes[layout.RECOMMEND] == EXAMPLE.indexes[layout.RECOMMEND]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("target_recall", 1.5),
        ("target_recall", "0.95"),
        ("build_seconds", -1.0),
        ("build_seconds", None),
        ("trials", None),
        ("trials", [{}]),
        ("trials", [{"recall_at_10": 1.5}]),
        ("trials", [{"query_microseconds": -1.0}]),
        ("trials", [{"query": {"search_k": [1]}}]),
    ],
    ids=str,
)
def test_what_tuning_cannot_have_found_is_refused_though_signed(name, wrong):
    content = json.loads(manifest.encode(EXAMPLE))
    index = content["indexes"][layout.SIMILAR]
    if isinstance(wrong, list):
        # Wrong in this one field, or without any.
        wrong = [{**index["trials"][0], **trial} if trial else trial for trial in wrong]
    index[name] = wrong
    content["checksum"] = publications.checksum(content)
    with pytest.raises(ManifestError, match=f"{name}|recall_at_10|query|backend"):
        decode(json.dumps(content).encode())


@pytest.mark.parametrize("pair", layout.OPTIONAL_PAIRS)
@pytest.mark.parametrize("kept", [(), (0,), (1,), (0, 1)])
def test_offsets_and_values_come_together_or_not_at_all(pair, kept):
    names = {*publications.ALL_FILES} - {*pair} | {pair[position] for position in kept}
    files = {name: facts for name, facts in EXAMPLE.files.items() if name in names}
    data = manifest.encode(replace(EXAMPLE, files=files))
    if len(kept) != 1:
        assert decode(data).files == files
        return
    with pytest.raises(ManifestError, match=f"files: '{pair[0]}' and '{pair[1]}' need each other"):
        decode(data)


MODEL = dict.fromkeys(layout.MODEL_FILES, EXAMPLE.files[layout.ITEM_VECTORS])


def test_a_model_s_files_may_all_be_there():
    files = {**EXAMPLE.files, **MODEL}
    assert len(files) == len(EXAMPLE.files) + 10
    assert decode(manifest.encode(replace(EXAMPLE, files=files))).files == files


@given(st.sets(st.sampled_from(layout.MODEL_FILES), min_size=1, max_size=len(layout.MODEL_FILES) - 1))
def test_a_part_of_a_model_s_files_is_refused_with_the_name_of_one_that_is_missing(left_out):
    files = {**EXAMPLE.files, **{name: own for name, own in MODEL.items() if name not in left_out}}
    missing = next(name for name in layout.MODEL_FILES if name in left_out)
    with pytest.raises(ManifestError, match=f"files: '{missing}' is missing, though") as caught:
        decode(manifest.encode(replace(EXAMPLE, files=files)))
    assert caught.value.path == PATH


def test_norms_may_be_missing():
    files = {name: facts for name, facts in EXAMPLE.files.items() if name != layout.ITEM_NORMS}
    assert decode(manifest.encode(replace(EXAMPLE, files=files))).files == files


def test_reading_a_directory_without_a_manifest_says_so(tmp_path):
    with pytest.raises(ManifestError, match=r"manifest\.json: No such file"):
        manifest.read(tmp_path)


def test_a_huge_file_is_not_read_as_a_manifest(tmp_path):
    with (tmp_path / layout.MANIFEST).open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ManifestError, match="is larger than"):
        manifest.read(tmp_path)


def test_a_manifest_read_is_the_manifest_written(tmp_path):
    directory = tmp_path / EXAMPLE.version
    directory.mkdir()
    (directory / layout.MANIFEST).write_bytes(manifest.encode(EXAMPLE))
    assert manifest.read(directory) == EXAMPLE
