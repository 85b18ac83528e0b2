"""A seed and one thread give the same publication, to the byte.

Of an index that is its file. How much of it is searched depends on how long that takes.
"""

import json

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.reader import list_versions
from tests.integration.trainer.conftest import call

TIMES = {"query_microseconds", "bare_query_microseconds", "build_seconds"}
# What a setting that was chosen by its time may change with.
CHOSEN_BY_TIME = {"query", "depths", "ways", "recall_at_10", "bare_recall_at_10", "trials"}
ONE_THREAD = ("--threads", 1, "--index-threads", 1)


def publication(volume):
    """A publication's files, and its manifest without what depends on the clock."""
    [version] = list_versions(volume)
    contents = {path.name: path.read_bytes() for path in layout.version_dir(volume, version).iterdir()}
    manifest = json.loads(contents.pop(layout.MANIFEST))
    for field in ("created_at", "run", "checksum"):
        del manifest[field]
    for candidate in manifest["candidates"]:
        del candidate["seconds"]
    manifest["version"] = manifest["version"].partition("-")[2]
    for index in manifest["indexes"].values():
        builds = [(one["backend"], one["build"], one["query"]) for one in index["trials"]]
        assert (index["backend"], index["build"], index["query"]) in builds
        for field in TIMES | CHOSEN_BY_TIME:
            index.pop(field, None)
    return contents, manifest


def train(files, volume, *flags, hash_seed="0"):
    done = call("train", *files, *ONE_THREAD, *flags, "--volume", volume, PYTHONHASHSEED=hash_seed)
    assert done.returncode == 0, done.stderr
    return publication(volume)


def test_two_runs_differ_in_their_times_only_and_another_seed_in_what_is_published(files, tmp_path):
    one, two = (train(files, tmp_path / seed, hash_seed=seed) for seed in ("1", "2"))
    # Titles, norms, what was held out, what else may be asked for and the model's ten are among them.
    assert len(one[0]) == 27
    indexes = {layout.index_file(name, "annoy") for name in (layout.SIMILAR, layout.RECOMMEND)}
    assert indexes < one[0].keys() == two[0].keys()
    for name, data in one[0].items():
        assert data == two[0][name], name
    assert one[1] == two[1]
    other, _ = train(files, tmp_path / "other", "--seed", 2)
    differ = {name for name, data in one[0].items() if data != other[name]}
    assert differ >= {layout.ITEM_VECTORS, layout.index_file(layout.SIMILAR, "annoy")}
