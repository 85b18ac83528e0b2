"""A seed and one thread give the same publication, to the byte.

Of an index that is its file. How much of it is searched depends on how long that takes.
"""

from __future__ import annotations

import json

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.reader import list_versions
from tests.integration.trainer.conftest import call

TIMES = {"query_microseconds", "bare_query_microseconds", "build_seconds"}
# What a setting that was chosen by its time may change with.
CHOSEN_BY_TIME = {"query", "depths", "recall_at_10", "bare_recall_at_10", "trials"}
ONE_THREAD = ("--threads", 1, "--index-threads", 1)


def publication(volume):
    """A publication's files, and its manifest without what depends on the clock."""
    [version] = list_versions(volume)
    contents = {path.name: path.read_bytes() for path in layout.version_dir(volume, version).iterdir()}
    manifest = json.loads(contents.pop(layout.MANIFEST))
    for field in ("created_at", "run", "checksum"):
        del manifest[field]
    manifest["version"] = manifest["version"].partition("-")[2]
    for index in manifest["indexes"].values():
        builds = [(one["backend"], one["build"], one["query"]) for one in index["trials"]]
        assert (index["backend"], index["build"], index["query"]) in builds
        for field in TIMES | CHOSEN_BY_TIME:
            index.pop(field, None)
    return contents, manifest


def test_two_runs_differ_in_their_times_only(files, tmp_path):
    made = []
    for number, hash_seed in enumerate(["1", "2"]):
        volume = tmp_path / str(number)
        done = call("train", *files, *ONE_THREAD, "--volume", volume, PYTHONHASHSEED=hash_seed)
        assert done.returncode == 0, done.stderr
        made.append(publication(volume))
    # Titles, norms, what was held out, what else may be asked for and the model's ten are among them.
    assert len(made[0][0]) == 27
    assert made[0][0].keys() == made[1][0].keys()
    for name, data in made[0][0].items():
        assert data == made[1][0][name], name
    assert made[0][1] == made[1][1]


def test_another_seed_gives_another_publication(files, tmp_path):
    made = []
    for seed in (1, 2):
        volume = tmp_path / str(seed)
        assert call("train", *files, *ONE_THREAD, "--seed", seed, "--volume", volume).returncode == 0
        made.append(publication(volume))
    differ = {name for name, data in made[0][0].items() if data != made[1][0][name]}
    assert layout.ITEM_VECTORS in differ
    assert layout.index_file(layout.SIMILAR, "annoy") in differ


def test_faiss_is_reproducible_too_with_one_thread(files, tmp_path):
    made = []
    for number in (1, 2):
        volume = tmp_path / str(number)
        done = call("train", *files, *ONE_THREAD, "--backend", "faiss", "--volume", volume)
        assert done.returncode == 0, done.stderr
        made.append(publication(volume))
    assert {layout.index_file(name, "faiss") for name in ("similar", "recommend")} < made[0][0].keys()
    assert made[0] == made[1]
