from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import timedelta

import numpy as np
import pytest
from annoy import AnnoyIndex

from lightfm_retriever.publication import layout, verification
from lightfm_retriever.publication.attributes import NumberColumn
from lightfm_retriever.publication.errors import VectorError, VolumeError
from lightfm_retriever.publication.labels import list_labels, promote
from lightfm_retriever.publication.reader import list_versions, open_publication
from lightfm_retriever.publication.vectors import vector_space
from lightfm_retriever.publication.verification import verify
from lightfm_retriever.publication.volume import FolderVolume
from tests import datasets, publications, specs
from trainer.errors import OptionError, TrainerError
from trainer.evaluation.cold_metrics import TRAINED, cold_rows
from trainer.index import NAMES
from trainer.index.tuning import TuningOptions
from trainer.pipeline import Places, train_and_publish
from trainer.promotion.checks import promote_if_passed
from trainer.promotion.errors import DiscontinuityError
from trainer.promotion.gates import Gates
from trainer.publishing.indexing import Indexing
from trainer.reading import TrainingInput
from trainer.spec import DataSpec

STAGES = ["dataset", "fit", "evaluate", "index", "publish", "verify", "gates"]


def run(volume, source=None, *, data=None, promote=True, how=None, **changes):
    """Train on what is in memory, with the rest of the spec as keywords."""
    spec = specs.spec(
        **{
            "data": DataSpec(interactions="in memory", **{"split": "first-10", **(data or {})}),
            "trees": 3 if changes.get("backend", "annoy") == "annoy" else None,
            # Where it is no matter of the test what a version keeps of the one before.
            "gates": Gates(allow_different_data=True, allow_unevaluated=True),
            **changes,
        }
    )
    places = Places(FolderVolume(volume), volume, volume)
    result = train_and_publish(
        spec,
        places,
        source=source or datasets.source(items=datasets.genres()),
        **{"clock": lambda: publications.NOON, **(how or {})},
    )
    return promote_if_passed(places.volume, result, label=spec.label) if promote else result


@pytest.fixture(scope="module", params=NAMES)
def published(request, tmp_path_factory):
    volume = tmp_path_factory.mktemp("volume") / "new"
    result = run(volume, backend=request.param)
    return result, open_publication(volume, result.manifest.version)


def scores(result):
    """The model's prediction for every user and item."""
    dataset = result.dataset
    users, items = np.divmod(np.arange(len(dataset.users) * len(dataset.items)), len(dataset.items))
    predicted = result.model.predict(
        users, items, item_features=dataset.item_features, user_features=dataset.user_features
    )
    return predicted.reshape(len(dataset.users), len(dataset.items))


def test_what_is_published_verifies_and_has_the_label(published):
    result, publication = published
    volume = publication.directory.parents[1]
    assert list_versions(volume) == [result.manifest.version]
    assert verify(volume, result.manifest.version) == result.manifest
    assert list_labels(volume) == {"current": result.manifest.version}
    assert result.label == "current"
    assert list(layout.staging_dir(volume).iterdir()) == []


def test_the_manifest_tells_how_it_was_made(published):
    result, publication = published
    manifest = publication.manifest
    assert (manifest.items, manifest.users, manifest.components) == (datasets.ITEMS, datasets.USERS, 4)
    assert manifest.created_at == "2026-11-24T12:00:00Z"
    assert manifest.run.id == "cli-20261124T120000.000000Z"
    assert manifest.run.started_at == "2026-11-24T12:00:00+00:00"
    assert list(manifest.run.seconds) == STAGES[:4]
    assert list(result.seconds) == STAGES
    assert manifest.hyperparameters == asdict(datasets.QUICK)
    assert manifest.dataset.name == "interactions.csv"
    assert (manifest.dataset.split, manifest.dataset.item_features) == ("first-10", ["genres"])
    assert manifest.dataset.train_interactions == result.dataset.train.nnz
    assert manifest.dataset.test_interactions == result.dataset.test.nnz
    assert manifest.metrics["evaluated_users"] == datasets.USERS
    backend = manifest.indexes[layout.SIMILAR].backend
    packages = {"annoy": {"annoy"}, "exact": set(), "faiss": {"faiss-cpu"}, "nmslib": {"nmslib"}}
    assert manifest.libraries.keys() == packages[backend] | {
        "lightfm-retriever",
        "marisa-trie",
        "numpy",
        "rectools-lightfm",
        "scipy",
    }


def test_the_published_vectors_score_as_the_model_predicts(published):
    result, publication = published
    queries = vector_space.user_queries(publication.user_vectors)
    found = queries @ publication.item_vectors.T + publication.user_vectors[:, -1:]
    np.testing.assert_allclose(found, scores(result), atol=1e-5)


def test_ids_titles_and_seen_items_are_those_of_the_rows(published):
    result, publication = published
    dataset = result.dataset
    for row in range(datasets.ITEMS):
        item = dataset.items.external_id(row)
        assert publication.items.row(item) == row
        title = publication.titles.values[
            publication.titles.offsets[row] : publication.titles.offsets[row + 1]
        ]
        assert bytes(title).decode() == f"Film {item[1:]} – 映画"
    for row in range(datasets.USERS):
        assert publication.users.row(dataset.users.external_id(row)) == row
        seen = publication.seen.values[
            publication.seen.offsets[row] : publication.seen.offsets[row + 1]
        ]
        assert seen.tolist() == sorted(dataset.train[row].indices)
        assert publication.held_out[row].tolist() == sorted(dataset.test[row].indices)
        assert len(publication.held_out[row])
    embeddings = publication.item_vectors[:, :-1].astype(np.float64)
    np.testing.assert_allclose(publication.item_norms, np.linalg.norm(embeddings, axis=1), rtol=1e-6)


def test_indexes_hold_the_published_items(published):
    _, publication = published
    vectors = publication.item_vectors
    expected = {
        layout.SIMILAR: vectors[:, :-1],
        layout.RECOMMEND: vector_space.augment_items(vectors),
    }
    for name, items in expected.items():
        facts = publication.manifest.indexes[name]
        assert facts.items == datasets.ITEMS
        assert facts.recall_at_10 >= facts.target_recall == 0.95
        assert (facts.backend == "exact") == (facts.file is None)
        if facts.backend != "annoy":
            continue
        assert facts.dimensions == items.shape[1]
        assert facts.build == {"trees": 3, "seed": 1, "threads": 1}
        index = AnnoyIndex(facts.dimensions, facts.metric)
        index.load(str(publication.directory / facts.file))
        assert index.get_n_items() == datasets.ITEMS
        np.testing.assert_array_equal(
            [index.get_item_vector(row) for row in range(datasets.ITEMS)], items
        )


def test_a_seed_makes_every_file_the_same(tmp_path):
    made = [run(tmp_path / name).manifest for name in "ab"]
    assert made[0].version == made[1].version
    assert made[0].files == made[1].files
    assert made[0].metrics == made[1].metrics
    other = run(tmp_path / "c", hyperparameters=replace(datasets.QUICK, seed=2)).manifest
    assert made[0].files[layout.ITEM_VECTORS] != other.files[layout.ITEM_VECTORS]


def test_another_label_or_none_is_moved(tmp_path):
    first = run(tmp_path).manifest.version
    canary = run(tmp_path, datasets.source(seed=2), label="canary")
    unlabelled = run(tmp_path, datasets.source(seed=3), label=None)
    assert (canary.label, unlabelled.label) == ("canary", None)
    assert list_labels(tmp_path) == {"canary": canary.manifest.version, "current": first}
    assert len(list_versions(tmp_path)) == 3


def test_without_items_there_are_no_titles(tmp_path):
    manifest = run(tmp_path, datasets.source()).manifest
    assert not {layout.TITLE_BYTES, layout.TITLE_OFFSETS} & manifest.files.keys()
    assert open_publication(tmp_path, manifest.version).titles is None


def test_what_answers_cold_users_and_filters_is_published_of_the_same_model(tmp_path):
    rows = datasets.rows()
    users = datasets.table({f"u{row}": [f"h:{row % 3}"] for row in range(20)}, name="users.csv")
    years = [float(1990 + row) for row in range(datasets.ITEMS)]
    items = replace(datasets.genres(), attributes=[NumberColumn("year", np.array(years))])
    result = run(tmp_path, TrainingInput(datasets.interactions(rows), items, users))
    dataset, model = result.dataset, result.model
    verify(tmp_path, result.manifest.version)
    publication = open_publication(tmp_path, result.manifest.version)
    assert publication.popularity.tolist() == dataset.popularity().tolist()
    assert publication.popularity.sum() == dataset.train.nnz > 0
    assert publication.fold_in.shape[1] == datasets.QUICK.components
    for column, name in enumerate(dataset.user_feature_names, start=len(dataset.users)):
        vector = publication.user_feature_vectors[publication.user_features.row(name)]
        np.testing.assert_array_equal(
            vector, [*model.user_embeddings[column], model.user_biases[column]]
        )
    # In the file's order and not in that of the rows.
    for name, year in zip(items.ids, years, strict=True):
        assert publication.attributes.number(0, publication.items.row(name)) == year
    cold = {f"test_precision_at_10_{kind}" for kind in ("folded_in", "features_only", "popular")}
    assert cold | {TRAINED} <= result.manifest.metrics.keys()


def test_without_user_features_and_a_test_set_nothing_is_said_of_them(tmp_path):
    manifest = run(tmp_path).manifest
    assert "test_precision_at_10_popular" in manifest.metrics
    assert "test_precision_at_10_features_only" not in manifest.metrics
    assert not {layout.USER_FEATURES, layout.USER_FEATURE_VECTORS} & manifest.files.keys()
    metrics = run(tmp_path, data={"split": "none"}).manifest.metrics
    assert not cold_rows(metrics)
    assert TRAINED not in metrics


def test_what_only_has_features_is_published_and_what_has_nothing_is_not(tmp_path):
    rows = [(f"u{user}", f"i{item}", 1.0) for user in range(5) for item in range(user, user + 4)]
    source = TrainingInput(
        datasets.interactions(rows),
        datasets.table({"i0": ["g:x"], "new": ["g:x"], "nothing": []}),
        datasets.table({"u0": ["h:x"], "new": ["h:x"], "nothing": []}, name="users.csv"),
    )
    result = run(tmp_path, source, data={"split": "none"})
    publication = open_publication(tmp_path, result.manifest.version)
    assert len(publication.items) == 9
    assert len(publication.users) == 6
    model = result.model
    for id_map, vectors, embeddings, biases in (
        (publication.items, publication.item_vectors, model.item_embeddings, model.item_biases),
        (publication.users, publication.user_vectors, model.user_embeddings, model.user_biases),
    ):
        assert "nothing" not in id_map
        # The one feature's row follows those of the ids, and is all that is known of what is new.
        feature = [*embeddings[len(id_map)], biases[len(id_map)]]
        np.testing.assert_array_equal(vectors[id_map.row("new")], feature)
    new = publication.users.row("new")
    assert publication.seen.offsets[new] == publication.seen.offsets[new + 1]
    assert "1 items of items.csv have no training interactions" in result.warnings[0]


@pytest.mark.parametrize("backend", NAMES)
@pytest.mark.parametrize(
    "rows",
    [
        [("u", "i", 1.0)],
        [("u", "i", 1.0), ("v", "i", 2.0)],
        [("u", "i", 1.0), ("u", "j", 1.0)],
        [("u", "i", 1.0), ("u", "j", 1.0), ("v", "k", 1.0)],
    ],
)
@pytest.mark.parametrize("loss", ["warp", "bpr", "logistic"])
def test_the_smallest_data_are_published(tmp_path, rows, backend, loss):
    result = run(
        tmp_path,
        TrainingInput(datasets.interactions(rows)),
        data={"split": "none"},
        backend=backend,
        trees=10 if backend == "annoy" else None,
        hyperparameters=replace(datasets.QUICK, loss=loss),
    )
    publication = open_publication(tmp_path, result.manifest.version)
    assert {publication.items.external_id(row) for row in range(len(publication.items))} == {
        item for _, item, _ in rows
    }
    assert all(index.recall_at_10 == 1 for index in result.manifest.indexes.values())
    assert publication.held_out is None


def test_ids_of_any_script_and_the_greatest_length_are_published(tmp_path):
    ids = [
        "é",
        "e\N{COMBINING ACUTE ACCENT}",
        "用户",
        "🎬" * 128,
        "x" * 512,
        " ",
        "a\tb\n",
        "../x",
        "0",
        "00",
    ]
    rows = [(user, item, 1.0) for user in ids for item in ids]
    result = run(tmp_path, TrainingInput(datasets.interactions(rows)), data={"split": "random"})
    publication = open_publication(tmp_path, result.manifest.version)
    for id_map in (publication.items, publication.users):
        assert {id_map.external_id(row) for row in range(len(id_map))} == {*ids}
    assert len([warning for warning in result.warnings if "normalisation" in warning]) == 2


def test_the_reporter_is_told_of_every_epoch_and_every_item(tmp_path):
    told, stages, metrics = [], [], []

    class Recorder:
        def stage(self, name):
            stages.append(name)

        def metrics(self, known):
            metrics.append((stages[-1], dict(known)))

        @contextmanager
        def step(self, name, total):
            parts = []
            yield parts.append
            told.append((name, total, sum(parts), len(parts)))

    result = run(
        tmp_path, hyperparameters=replace(datasets.QUICK, epochs=3), how={"reporter": Recorder()}
    )
    assert stages == STAGES
    # Before the indexes are built, which may take the longest, and once it is known what they serve.
    served = {f"test_precision_at_10_{name}" for name in ("served", "exact")} | {"served_users"}
    (first, model), (second, everything) = metrics
    assert (first, second) == ("evaluate", "index")
    assert everything == result.manifest.metrics
    assert everything.items() > model.items()
    assert everything.keys() - model.keys() == served
    # Of so few items all are scored.
    exact = everything["test_precision_at_10_exact"]
    assert everything["test_precision_at_10_served"] == exact
    assert exact == pytest.approx(everything["test_precision_at_10_unseen"])
    assert told[0] == ("Training, epochs", 3, 3, 3)
    assert [step[:3] for step in told[1:]] == [
        (f"Index {name!r}, {backend}, items", datasets.ITEMS, datasets.ITEMS)
        for name in ("similar", "recommend")
        for backend in ("exact", "annoy 3")
    ]


def test_bad_data_leave_the_volume_alone(tmp_path):
    volume = tmp_path / "volume"
    source = TrainingInput(datasets.interactions([("u", "i", 0.0)]))
    with pytest.raises(TrainerError, match="no positive"):
        run(volume, source, data={"split": "none"})
    assert not volume.exists()


def test_an_index_that_cannot_be_built_publishes_nothing(tmp_path, monkeypatch):
    older = run(tmp_path).manifest.version

    class Failing:
        name, distribution = "failing", None

        def __init__(self, error):
            self.error = error

        def rounds(self, *_):
            return [[{}]]

        def build(self, _vectors, _space, path, _settings, **_):
            path.write_bytes(b"half")
            raise self.error

    def fail_with(error):
        made = Indexing(backends=[Failing(error)], options=TuningOptions(seed=1, threads=1))
        monkeypatch.setattr("trainer.pipeline.indexing_of", lambda _spec: made)

    fail_with(VectorError("not finite"))
    with pytest.raises(VectorError, match="not finite"):
        run(tmp_path)
    fail_with(OSError(28, "No space left on device", "similar.annoy"))
    with pytest.raises(
        VolumeError, match=r"similar\.annoy: No space left on device; nothing was published"
    ):
        run(tmp_path)
    assert list_versions(tmp_path) == [older]
    assert list_labels(tmp_path) == {"current": older}
    assert list(layout.staging_dir(tmp_path).iterdir()) == []


def test_the_label_stays_when_what_was_published_does_not_verify(tmp_path, monkeypatch):
    older = run(tmp_path).manifest.version
    checked = verification.verify_directory

    def damage(directory, version):
        path = directory / layout.ITEM_VECTORS
        publications.overwrite(path, path.read_bytes()[:-1])
        return checked(directory, version)

    monkeypatch.setattr(verification, "verify_directory", damage)
    with pytest.raises(Exception, match=r"item_vectors\.npy: size in bytes"):
        run(tmp_path, datasets.source(seed=2))
    assert list_labels(tmp_path) == {"current": older}
    assert list_versions(tmp_path) == [older]


def test_a_later_run_is_listed_later_and_can_be_rolled_back_to(tmp_path):
    names = [
        run(
            tmp_path,
            datasets.source(seed=day),
            how={"clock": lambda: publications.NOON + timedelta(days=day)},  # noqa: B023
        ).manifest.version
        for day in range(3)
    ]
    assert list_versions(tmp_path) == names
    assert publications.roll_back(tmp_path) == names[1]
    promote(tmp_path, names[0])
    assert list_labels(tmp_path) == {"current": names[0]}


def test_a_volume_that_cannot_be_written_is_known_before_the_training(tmp_path, monkeypatch):
    volume = tmp_path / "volume"
    volume.write_text("a file")
    monkeypatch.setattr("trainer.pipeline.train", lambda *_, **__: pytest.fail("it trained"))
    with pytest.raises(VolumeError, match="can't be written"):
        run(volume)


def test_a_version_that_fails_a_gate_is_published_and_the_label_stays(tmp_path):
    older = run(tmp_path).manifest.version
    gates = Gates(min_precision_at_10=0.0, min_auc=1.0)
    result = run(tmp_path, datasets.source(seed=2, items=datasets.genres()), gates=gates)
    assert (result.passed, result.label) == (False, None)
    asked = {gate.name: gate for gate in result.gates}
    assert asked["min_precision_at_10"].passed
    assert [gate.name for gate in result.gates if not gate.passed] == ["min_auc"]
    assert " short" in asked["min_auc"].text
    assert asked["min_auc"].measured == result.manifest.metrics["test_auc_unseen"]
    assert list_labels(tmp_path) == {"current": older}
    assert verify(tmp_path, result.manifest.version) == result.manifest


def test_a_version_that_passes_its_gates_gets_the_label(tmp_path):
    result = run(tmp_path, gates=Gates(min_auc=0.0, min_recall=0.5, max_relative_loss=0.0))
    assert (result.passed, result.label) == (True, "current")
    assert {"min_auc", "min_recall", "max_relative_loss"} <= {gate.name for gate in result.gates}
    # The same again is no worse, and no better.
    again = run(tmp_path, gates=Gates(max_relative_loss=0.0))
    assert again.gates[-1].measured == pytest.approx(0.0, abs=1e-9)


def test_the_moving_of_the_label_can_be_left_to_the_caller(tmp_path):
    result = run(tmp_path, promote=False)
    assert (result.passed, result.label, list_labels(tmp_path)) == (True, None, {})
    moved = promote_if_passed(FolderVolume(tmp_path), result, label="canary")
    assert moved.label == "canary"
    assert list_labels(tmp_path) == {"canary": result.manifest.version}
    assert promote_if_passed(FolderVolume(tmp_path), result, label=None) == result


def test_an_input_that_keeps_too_little_is_refused_before_the_training(tmp_path, monkeypatch):
    first = run(tmp_path).manifest
    others = TrainingInput(
        datasets.interactions([(f"{user}.0", item, weight) for user, item, weight in datasets.rows()])
    )
    with monkeypatch.context() as patch:
        patch.setattr("trainer.pipeline.train", lambda *_, **__: pytest.fail("it trained"))
        with pytest.raises(DiscontinuityError, match="0 of 24 users") as caught:
            run(tmp_path, others, gates=Gates())
    assert (caught.value.label, caught.value.version) == ("current", first.version)
    assert list_versions(tmp_path) == [first.version]
    assert run(tmp_path, others, gates=Gates(allow_different_data=True)).label == "current"


def test_beside_a_version_that_cannot_be_read_the_label_stays_unless_it_is_allowed(tmp_path):
    first = run(tmp_path).manifest.version
    path = layout.version_dir(tmp_path, first) / layout.USER_IDS
    publications.overwrite(path, path.read_bytes()[::-1])
    result = run(tmp_path, datasets.source(seed=2), gates=Gates())
    assert result.label is None
    [failed] = [gate for gate in result.gates if not gate.passed]
    assert failed.name == "predecessor"
    assert "users.trie: SHA-256" in failed.text
    allowed = run(tmp_path, datasets.source(seed=2), gates=Gates(allow_different_data=True))
    assert allowed.label == "current"


def test_a_label_that_was_moved_meanwhile_is_not_moved_again(tmp_path):
    first = run(tmp_path).manifest.version
    other = run(tmp_path, label=None, hyperparameters=replace(datasets.QUICK, epochs=1))
    result = run(
        tmp_path, gates=Gates(), promote=False, hyperparameters=replace(datasets.QUICK, epochs=3)
    )
    promote(tmp_path, other.manifest.version)
    late = promote_if_passed(FolderVolume(tmp_path), result, label="current")
    assert (late.label, late.passed) == (None, False)
    assert late.gates[-1].name == "label"
    assert other.manifest.version in late.gates[-1].text
    assert first in late.gates[-1].text
    assert list_labels(tmp_path) == {"current": other.manifest.version}


def test_a_training_that_goes_on_says_so_when_there_is_nothing_to_go_on_from(tmp_path):
    cold = run(tmp_path, warm_start=True)
    assert any("this training began anew" in warning for warning in cold.warnings)
    warm = run(tmp_path, warm_start=True)
    assert not any("began anew" in warning for warning in warm.warnings)
    files = [result.manifest.files[layout.ITEM_VECTORS] for result in (cold, warm, run(tmp_path))]
    assert files[0] == files[2] != files[1]
    with pytest.raises(OptionError, match="--warm-start"):
        run(tmp_path, warm_start=True, label=None)


def test_the_split_is_the_one_that_was_asked_for(tmp_path):
    rows = datasets.rows()
    source = TrainingInput(datasets.interactions(rows, timestamps=range(len(rows))))
    last = run(tmp_path, source, data={"split": "leave-last-k", "split_count": 2}).manifest.dataset
    assert (last.split, last.test_interactions) == ("leave-last-k", 2 * datasets.USERS)
    newest = run(tmp_path, source, data={"split": "time", "split_share": 0.25}).manifest.dataset
    assert newest.test_interactions == round(0.25 * len(rows))


@pytest.mark.parametrize(
    ("scale", "loss", "said"),
    [(1e-3, "warp", "weigh 0.02 or more"), (1e3, "bpr", "weigh more than 50"), (1, "bpr", None)],
)
def test_weights_that_ruin_a_model_are_warned_of_where_the_model_sees_them(tmp_path, scale, loss, said):
    rows = [(user, item, weight * scale) for user, item, weight in datasets.rows()]
    source = TrainingInput(datasets.interactions(rows))

    def warned(**options):
        hyperparameters = replace(datasets.QUICK, loss=loss, **options)
        warnings = run(tmp_path, source, hyperparameters=hyperparameters, label=None).warnings
        return [warning for warning in warnings if "--sample-weights" in warning]

    assert warned() == []
    found = warned(sample_weights=True)
    assert len(found) == (said is not None)
    assert said is None or said in found[0]
