"""A manifest that was edited is refused, signed anew too where serving from it could go wrong."""

import copy
import functools
import json
import operator
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lightfm_retriever.publication import layout, manifest
from lightfm_retriever.publication.completeness import MAX_FILES
from lightfm_retriever.publication.errors import InvalidPublicationError as InvalidError
from lightfm_retriever.publication.errors import ManifestError, UnsupportedFormatError
from lightfm_retriever.publication.manifest import Depth, ModelFacts, TrialFacts, WayFacts
from lightfm_retriever.publication.reader import open_publication
from lightfm_retriever.publication.verification import verify
from tests import publications

PATH = Path("volume/manifest.json")
EXAMPLE = publications.complete_manifest()
CONTENT = json.loads(manifest.encode(EXAMPLE))
ITEM_ITEM = publications.complete_manifest(item_item=True)


def decode(data, *, version=EXAMPLE.version):
    return manifest.decode(data, path=PATH, version=version)


def written(content, *, sign=True):
    if sign:
        content = {**content, "checksum": publications.checksum(content)}
    return json.dumps(content).encode()


def refused(content, reason=None, *, error=ManifestError, sign=True):
    with pytest.raises(error, match=reason) as caught:
        decode(written(content, sign=sign))
    assert caught.value.path == PATH
    return str(caught.value)


FACTS = CONTENT["files"][layout.ITEM_IDS]


def put(path, value):
    content = copy.deepcopy(CONTENT)
    functools.reduce(operator.getitem, path[:-1], content)[path[-1]] = value
    return content


SIMILAR = EXAMPLE.indexes[layout.SIMILAR]
WAYS = {
    "items": WayFacts(recall_at_10=0.9, query_microseconds=3.5, effort=1.5, depths=[]),
    "all": WayFacts(recall_at_10=1.0, query_microseconds=90.0, effort=None, depths=[]),
}
MEASURED = [Depth(results=30, effort=1.5, recall=1.0), Depth(results=100, effort=1e9, recall=0.0)]


def test_decoding_undoes_encoding():
    for facts in (
        EXAMPLE,
        publications.complete_manifest(extended=True),
        ITEM_ITEM,
        replace(EXAMPLE, model=ModelFacts(family="als", kind="vectors")),
        replace(EXAMPLE, users=0, dataset=replace(EXAMPLE.dataset, weight=0.0), metrics={}),
        replace(EXAMPLE, indexes={**EXAMPLE.indexes, "similar": replace(SIMILAR, depths=MEASURED)}),
        replace(EXAMPLE, indexes={**EXAMPLE.indexes, "similar": replace(SIMILAR, file=None)}),
        replace(EXAMPLE, indexes={**EXAMPLE.indexes, "similar": replace(SIMILAR, ways=WAYS)}),
        replace(EXAMPLE, hyperparameters={"é\0": "\U0001f3ac", "none": None, "big": 2**63 - 1}),
    ):
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
    for number in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            manifest.encode(replace(EXAMPLE, metrics={"auc": number}))


def test_a_manifest_is_read_from_its_directory(tmp_path):
    directory = tmp_path / EXAMPLE.version
    directory.mkdir()
    with pytest.raises(ManifestError, match=r"manifest\.json: No such file"):
        manifest.read(directory)
    path = directory / layout.MANIFEST
    os.mkfifo(path)
    with pytest.raises(ManifestError, match="is a FIFO"):
        manifest.read(directory)
    path.unlink()
    path.write_bytes(manifest.encode(EXAMPLE))
    assert manifest.read(directory) == EXAMPLE
    whole = manifest.encode(EXAMPLE).ljust(manifest.MAX_BYTES)
    path.write_bytes(whole)
    assert manifest.read(directory) == EXAMPLE
    for size in (len(whole) + 1, 1 << 40):
        with path.open("r+b") as file:
            file.truncate(size)
        with pytest.raises(ManifestError, match=f"is larger than {4 << 20} bytes"):
            manifest.read(directory)


def test_an_index_of_an_older_or_later_release_is_read():
    for name, without in (
        ("target_recall", None),
        ("trials", []),
        ("build_seconds", 0.0),
        ("ways", {}),
    ):
        content = copy.deepcopy(CONTENT)
        content["indexes"][layout.SIMILAR].pop(name, None)
        decoded = decode(written(content))
        assert decoded.indexes[layout.SIMILAR] == replace(SIMILAR, **{name: without})
        assert json.loads(manifest.encode(decoded)) == json.loads(written(content))
    # Those that a later release adds are ignored.
    content = {**copy.deepcopy(CONTENT), "added": {"later": [1, None]}}
    content["run"]["added"] = content["indexes"][layout.SIMILAR]["added"] = "later"
    assert decode(written(content)) == EXAMPLE


def test_the_candidates_of_a_choice_are_kept_and_are_left_out_when_there_are_none():
    assert "candidates" not in CONTENT
    assert EXAMPLE.candidates == []
    trials = [
        TrialFacts(
            model="als",
            settings={"components": 64, "alpha": 1.0},
            state="complete",
            ndcg_at_10=0.25,
            folded_in=True,
            trained_ndcg_at_10=0.2,
            folded_ndcg_at_10=0.25,
            seconds=1.5,
        ),
        TrialFacts(model="ease", settings={"l2": 250.0}, state="skipped", reason="too large"),
    ]
    chosen = replace(EXAMPLE, candidates=trials)
    assert decode(written(json.loads(manifest.encode(chosen)))) == chosen
    refused(put(("candidates",), [{"model": "als", "settings": {}, "state": "odd"}]), "candidates")


def test_an_added_field_and_a_checksum_of_another_manifest_are_noticed(published):
    refused({**CONTENT, "x": 1}, "edited after publication", sign=False)
    refused({**CONTENT, "checksum": "0" * 64}, "0{64}", sign=False)
    data = (published.older_directory / layout.MANIFEST).read_bytes()
    publications.overwrite(published.directory / layout.MANIFEST, data)
    for read in (verify, open_publication):
        with pytest.raises(ManifestError, match=f"{published.older}.*{published.version}") as caught:
            read(published.volume, published.version)
        assert caught.value.path == published.directory / layout.MANIFEST


@given(data=st.data())
def test_no_change_of_one_byte_and_no_part_passes_for_the_manifest(data):
    whole = manifest.encode(EXAMPLE)
    place = data.draw(st.integers(0, len(whole) - 3))
    spoilt = bytearray(whole)
    spoilt[place] = data.draw(st.integers(0, 255))
    try:
        assert decode(bytes(spoilt)) == EXAMPLE
    except InvalidError as error:
        assert error.path == PATH  # noqa: PT017 - either way is right
    for part in (whole[:place], data.draw(st.binary(max_size=200))):
        with pytest.raises(InvalidError, match=r"manifest\.json"):
            decode(part)


@pytest.mark.parametrize("nested", [10, *range(960, 1000, 3), 1_000_000])
def test_json_of_another_kind_or_nested_too_deep_is_refused(nested):
    for text in ("[]", "1", '"x"', "null", "true", "NaN"):
        with pytest.raises(ManifestError, match="should be a JSON object, but is"):
            decode(text.encode())
    for text in ('{"format_version": 1, "x": %s}', '{"format_version": %s}'):
        with pytest.raises((ManifestError, UnsupportedFormatError)):
            decode((text % ("[" * nested + "]" * nested)).encode())


@pytest.mark.parametrize("found", [0, 3, -1, 1.0, "1", True, None, [1], {}, 10**30])
def test_another_format_version_is_refused_whatever_else_the_manifest_holds(found):
    with pytest.raises(UnsupportedFormatError, match="this release reads 1 and 2 only") as caught:
        decode(json.dumps({"format_version": found}).encode())
    said = {"[1]": "is a list", "{}": "is an object", "True": "is true", "None": "there is no"}
    assert said.get(str(found), f"is {found!r}") in str(caught.value)


def test_what_no_manifest_of_ours_has_is_said_in_our_words():
    for old, new, said in (
        ('"checksum": "', '"x": "', "there is no checksum, but"),
        ('"checksum": "', '"checksum": null, "x": "', "checksum is null, but"),
        ("{", '{"items": 41,', "'items' occurs twice: the file was edited"),
        ('"indexes": {', '"indexes": {"x": 1, "x": 1,', "'x' occurs twice"),
        ('"items": ', '"items": ' + "9" * 5000, "more than 64 bits"),
        ('"format_version": 1', '"format_version": null', "no format_version"),
        *(("0.258", number, "can't be checked") for number in ("NaN", "-Infinity", "1e999")),
        ("példa", "p\xe9lda", "isn't JSON: byte "),
    ):
        coding = "latin-1" if old == "példa" else "utf-8"
        data = manifest.encode(EXAMPLE).decode().replace(old, new, 1).encode(coding)
        with pytest.raises(InvalidError, match=re.escape(said)) as caught:
            decode(data)
        assert not re.search(r"None|set_int_max|sys\.", str(caught.value))


def test_what_no_message_and_no_terminal_can_hold_is_refused():
    for changes, reason in (
        ({"hyperparameters": {"loss": "\ud800"}}, r"the text '\\ud800' isn't Unicode"),
        ({"metrics": {"\ud800": 0.5}}, "isn't Unicode"),
        ({"added": {"later": ["\udfff"]}}, "isn't Unicode"),
        ({"items": 2**63}, "an integer has more than 64 bits"),
        ({"hyperparameters": {"epochs": -(2**63) - 1}}, "more than 64 bits"),
        ({"metrics": {"test_auc": 10**400}}, "more than 64 bits"),
    ):
        refused({**CONTENT, **changes}, f"can't be used: .*{reason}")
    fits = {**CONTENT, "hyperparameters": {"most": 2**63 - 1, "least": -(2**63)}}
    assert decode(written(fits)).hyperparameters == fits["hyperparameters"]


INDEX = ("indexes", layout.SIMILAR)
DEPTHS = (*INDEX, "depths")


def depths(*numbers, effort=1.0):
    return [{"results": results, "effort": effort, "recall": 1} for results in numbers]


def way(**changes):
    usual = {"recall_at_10": 0.9, "query_microseconds": 3.5, "effort": 1.5, "depths": []}
    return {"items": {**usual, **changes}}


def texts(*names):
    return [{"name": name, "kind": "text"} for name in names]


def test_a_value_that_cannot_be_is_refused():
    for path, value, reason in (
        (("items",), None, None),
        (("items",), 0, None),
        (("users",), -1, None),
        (("components",), 0, None),
        (("files", layout.ITEM_IDS, "size"), -1, None),
        (("files", layout.ITEM_IDS, "sha256"), "F" * 64, None),
        (("run", "seconds", "train"), -1.0, None),
        ((*INDEX, "dimensions"), 0, None),
        ((*INDEX, "recall_at_10"), 1.5, None),
        ((*INDEX, "trials", 0, "recall_at_10"), -0.1, "recall_at_10"),
        ((*INDEX, "trials", 0, "query"), {"search_k": [1]}, "query"),
        (("items",), 13, r"indexes.similar.items is 12, but items of the version is 13"),
        (
            ("indexes", "recommend", "items"),
            11,
            "recommend.items is 11, but items of the version is 12",
        ),
        (
            ("version",),
            "20261124T120000Z-000000",
            "is '20261124T120000Z-000000', but the directory is '2026",
        ),
        ((*INDEX, "file"), "recommend.annoy", "'recommend.annoy', but should be 'similar.annoy'"),
        ((*INDEX, "backend"), "nmslib", "file is 'similar.annoy', but should be 'similar.nmslib'"),
        (("created_at",), "yesterday", "created_at is 'yesterday', but should be a time in UTC"),
        (("created_at",), "2026-11-24T12:00:00", "but should be a time in UTC"),
        (("created_at",), "2026-11-24T12:00:00+01:00", "but should be a time in UTC"),
        (DEPTHS, depths(10), "depths: results 10 follow 10, but should be ascending and above 10"),
        (DEPTHS, depths(30, 30), "depths: results 30 follow 30"),
        (DEPTHS, depths(100, 30), "depths: results 30 follow 100"),
        (DEPTHS, depths(30, effort=1e308), "<= 1000000000.0"),
        ((*INDEX, "ways"), way(depths=depths(30, 30)), r"ways\['items'\].depths: results 30 follow 30"),
        ((*INDEX, "ways"), way(effort=0), "effort"),
        ((*INDEX, "ways"), way(recall_at_10=1.5), "recall_at_10"),
        ((*INDEX, "ways"), {"items": {}}, "missing required field"),
        (("indexes",), {"similar": CONTENT["indexes"]["similar"]}, "indexes: 'recommend' is missing"),
        (("indexes",), {"recommend": CONTENT["indexes"]["recommend"]}, "indexes: 'similar' is missing"),
        (("files", "../items.trie"), FACTS, "isn't a plain file name"),
        (("files", layout.MANIFEST), FACTS, "isn't a plain file name"),
        (("attributes",), texts(""), r"attributes\[0\]: the name is empty"),
        (("attributes",), texts("title"), r"attributes\[0\]: 'title' is reserved"),
        (("attributes",), texts("a", "b", "a"), r"attributes\[2\]: 'a' occurs twice"),
        (("attributes",), texts("a"), "files: 'attribute_values.trie' is missing, though attributes"),
        (("files", layout.NUMBERS), FACTS, "'numbers.npy' is there, but attributes has no number"),
    ):
        message = refused(put(path, value), reason)
        assert "plain" not in (reason or "") or repr(path[1]) in message


def test_a_manifest_and_the_files_of_another_kind_of_model_do_not_go_together():
    assert (EXAMPLE.kind, EXAMPLE.family, ITEM_ITEM.kind, ITEM_ITEM.family) == (
        *("vectors", ""),
        *("neighbours", "ease"),
    )
    assert "model" not in CONTENT
    vectors = ModelFacts(family="ease", kind="vectors")
    other = EXAMPLE.files[layout.ITEM_VECTORS]
    for facts, reason in (
        (replace(ITEM_ITEM, model=vectors), "components is 0, but should be 1 or more"),
        (replace(ITEM_ITEM, model=None, components=4), "'item_vectors.npy' is missing"),
        (replace(EXAMPLE, model=ITEM_ITEM.model), "components is 4, but should be 0 for a model of n"),
        (replace(EXAMPLE, model=ITEM_ITEM.model, components=0), "'recommend' is there, but a model of"),
        (replace(ITEM_ITEM, format_version=1), "format_version is 1, but should be 2 for these files"),
        (replace(EXAMPLE, format_version=2), "format_version is 2, but should be 1 for these files"),
        *(
            (
                replace(ITEM_ITEM, files={**ITEM_ITEM.files, name: other}),
                f"'{name}' is there, but a model of neighbours has no such file",
            )
            for name in (layout.USER_VECTORS, layout.FOLD_IN, layout.ITEM_NORMS)
        ),
        (
            replace(
                EXAMPLE,
                format_version=2,
                files={**EXAMPLE.files, **dict.fromkeys(publications.PROFILE_FILES, other)},
            ),
            "'profile_offsets.npy' is there, but a model of vectors has no such file",
        ),
        (
            replace(ITEM_ITEM, model=replace(ITEM_ITEM.model, family="My model")),
            r"matching regex .* - at `\$.model.family`",
        ),
    ):
        with pytest.raises(ManifestError, match=reason):
            decode(manifest.encode(facts))


def test_more_files_than_any_version_has_are_refused():
    left = range(MAX_FILES - len(CONTENT["files"]))
    files = {**CONTENT["files"], **{f"extra{number}.npy": FACTS for number in left}}
    assert len(decode(written({**CONTENT, "files": files})).files) == 100
    files["one.more"] = FACTS
    refused({**CONTENT, "files": files}, "files: there are 101, but a version has at most 100")


def test_a_file_that_must_be_named_is_missed_also_for_the_sake_of_another():
    whole = publications.complete_manifest(extended=True)
    for name in whole.files:
        files = {own: facts for own, facts in whole.files.items() if own != name}
        data = manifest.encode(replace(whole, files=files))
        if name in (layout.ITEM_NORMS, layout.ID_RANKS, layout.FOLD_IN):
            assert decode(data).files == files
            continue
        with pytest.raises(ManifestError, match=rf"files.*'{name}'|'{name}' isn't among files"):
            decode(data)
    for pair in layout.PAIRS:
        files = {own: facts for own, facts in whole.files.items() if own not in pair}
        assert decode(manifest.encode(replace(whole, files=files))).files == files
    for name in ITEM_ITEM.files:
        files = {own: facts for own, facts in ITEM_ITEM.files.items() if own != name}
        with pytest.raises(ManifestError, match=rf"files.*'{name}'"):
            decode(manifest.encode(replace(ITEM_ITEM, files=files)))


@given(st.sets(st.sampled_from(layout.MODEL_FILES)))
@example(set())
@example({*layout.MODEL_FILES})
def test_a_part_of_a_model_s_files_is_refused_with_the_name_of_one_that_is_missing(left_out):
    own = EXAMPLE.files[layout.ITEM_VECTORS]
    files = EXAMPLE.files | {name: own for name in layout.MODEL_FILES if name not in left_out}
    data = manifest.encode(replace(EXAMPLE, files=files))
    missing = next((name for name in layout.MODEL_FILES if name in left_out), "")
    if len(left_out) in (0, len(layout.MODEL_FILES)):
        assert decode(data).files == files
        return
    with pytest.raises(ManifestError, match=f"files: '{missing}' is missing, but"):
        decode(data)


LONG = "x" * 100_000


def test_what_is_endless_is_cut_in_messages():
    for path, value in (
        *((path, LONG) for path in (("checksum",), ("version",), ("created_at",))),
        *(((*INDEX, name), LONG) for name in ("file", "backend")),
        (("format_version",), [None] * 10_000),
        (("files", LONG), FACTS),
        (("indexes", LONG), CONTENT["indexes"]["similar"]),
    ):
        sign = path != ("checksum",)
        assert len(refused(put(path, value), error=InvalidError, sign=sign)) < 600
