"""A training by its spec, from interactions to a label."""

from contextlib import contextmanager
from dataclasses import asdict, replace

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import NumberColumn
from lightfm_retriever.publication.errors import VolumeError
from lightfm_retriever.publication.labels import list_labels, promote
from lightfm_retriever.publication.reader import list_versions, open_publication
from lightfm_retriever.publication.storage import ragged
from lightfm_retriever.publication.verification import verify
from lightfm_retriever.publication.volume import Volume
from tests import datasets, publications, specs
from trainer import models
from trainer.errors import InputError, OptionError, TrainerError
from trainer.evaluation.metric_rows import TRAINED
from trainer.fitting import warm_start
from trainer.fitting.embeddings import extract_embeddings
from trainer.fitting.lightfm_model import train
from trainer.index.tuning import TuningOptions
from trainer.models.protocol import Shape
from trainer.pipeline import Places, indexing_of, train_and_publish
from trainer.promotion.checks import promote_if_passed
from trainer.promotion.gates import DiscontinuityError, Gates
from trainer.reading import TrainingInput
from trainer.spec import DataSpec, TrainingSpec

GIVEN = replace(datasets.GIVEN, epochs=3)
STAGES = ["dataset", "validate", "fit", "evaluate", "index", "publish", "verify", "gates"]
PASSES = Gates(min_auc=0.0, min_recall=0.5)
FAILS = Gates(min_precision_at_10=0.0, min_auc=1.0)
ANEW = "--warm-start had no effect"


def places_of(volume):
    return Places(Volume(volume), volume / "datasets", volume / "events")


def run(volume, source=None, *, data=None, promote=True, **changes):
    """Train on what is in memory, or on rows, with the rest of the spec as keywords."""
    if isinstance(source, list):
        source = TrainingInput(datasets.interactions(source))
        data = {"split": "random", **(data or {})}
    # Where it is no matter of the test what a version keeps of the one before.
    gates = changes.pop("gates", Gates(allow_different_data=True, allow_unevaluated=True))
    data = DataSpec(interactions="in memory", **{"split": "first-10", **(data or {})})
    spec = specs.spec(data=data, trees=3, gates=gates, **changes)
    source = source or datasets.source(items=datasets.genres())
    result = train_and_publish(spec, places_of(volume), source=source, clock=lambda: publications.NOON)
    return promote_if_passed(Volume(volume), result, label=spec.label) if promote else result


def lightfm_of(dataset, given):
    """LightFM's hyperparameters: those that are given, and else those that suit the data."""
    made = models.family("lightfm").filled(Shape.of(dataset), given.own())
    return replace(made, seed=given.seed, threads=given.threads)


def forbid_training(monkeypatch):
    """Fails the test when anything is trained from now on."""
    monkeypatch.setattr(
        "trainer.fitting.lightfm_model.train", lambda *_, **__: pytest.fail("it trained")
    )


def grown():
    """The rows of `datasets.rows`, and users, items and likes that came later."""
    return [*datasets.rows(), ("a new user", "i1", 1.0), ("u1", "a new item", 1.0), ("u2", "i3", 2.0)]


def vectors(volume, result):
    publication = open_publication(volume, result.manifest.version)
    return np.array(publication.item_vectors), np.array(publication.user_vectors)


def warnings_of(result, part):
    return [warning for warning in result.warnings if part in warning]


def test_what_is_published_verifies_has_the_label_and_tells_how_it_was_made(tmp_path):
    result = run(tmp_path / "new")
    volume, manifest, dataset = tmp_path / "new", result.manifest, result.dataset
    assert verify(volume, manifest.version) == manifest
    assert list_labels(volume) == {result.label: manifest.version} == {"current": manifest.version}
    assert manifest.created_at == "2026-11-24T12:00:00Z"
    run_id, started_at, _ = vars(manifest.run).values()
    assert (run_id, started_at) == ("cli-20261124T120000.000000Z", "2026-11-24T12:00:00+00:00")
    assert (list(manifest.run.seconds), list(result.seconds)) == (STAGES[:5], STAGES)
    own = lightfm_of(dataset, datasets.GIVEN)
    assert manifest.hyperparameters == {"model": "lightfm", **asdict(own)}
    own = ["interactions.csv", "first-10", dataset.train.nnz, dataset.test.nnz, ["genres"], []]
    assert [*vars(manifest.dataset).values()] == [*own, dataset.weight()]
    assert manifest.metrics["evaluated_users"] == datasets.USERS
    assert manifest.libraries.keys() >= {"annoy", "rectools-lightfm", "scipy"}
    publication = open_publication(volume, manifest.version)
    for row in range(datasets.ITEMS):
        title = f"Film {publication.items.external_id(row)[1:]} – 映画"
        assert ragged.text(publication.titles, row) == title
    for row in range(datasets.USERS):
        assert publication.seen[row].tolist() == sorted(dataset.train[row].indices)
        assert publication.held_out[row].tolist() == sorted(dataset.test[row].indices)


def test_what_answers_cold_users_and_filters_is_published_of_the_same_model(tmp_path):
    users = datasets.table({f"u{row}": [f"h:{row % 3}"] for row in range(20)}, name="users.csv")
    years = [float(1990 + row) for row in range(datasets.ITEMS)]
    items = replace(datasets.genres(), attributes=[NumberColumn("year", np.array(years))])
    result = run(tmp_path, TrainingInput(datasets.interactions(datasets.rows()), items, users))
    dataset, model = result.dataset, result.model
    publication = open_publication(tmp_path, result.manifest.version)
    assert publication.popularity.tolist() == dataset.popularity().tolist()
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


def test_segments_are_measured_by_attribute_and_an_unknown_one_ends_the_run_before_its_training(
    tmp_path, monkeypatch
):
    rows = datasets.rows()
    columns = dict(zip(("user_id", "item_id", "weight"), zip(*rows, strict=True), strict=True))
    interactions = datasets.write_csv(tmp_path / "a.csv", columns)
    ids = [f"i{item}" for item in range(datasets.ITEMS)]
    kinds = ["film" if item % 2 else "play" for item in range(datasets.ITEMS)]
    items = datasets.write_csv(tmp_path / "items.csv", {"item_id": ids, "kind": kinds})
    data = DataSpec(
        interactions=str(interactions),
        items=str(items),
        item_attributes=["kind"],
        segment_by=["kind"],
        split="first-10",
    )
    spec = TrainingSpec(data=data, hyperparameters=datasets.GIVEN)
    manifest = train_and_publish(spec, places_of(tmp_path)).manifest
    segments = [own for own in manifest.evaluation.segments if own.by == "kind"]
    assert sorted(own.value for own in segments) == ["film", "play"]
    # What is counted is what is evaluated.
    assert manifest.evaluation.interactions == manifest.dataset.test_interactions
    assert sum(own.interactions for own in segments) == manifest.evaluation.interactions
    other = replace(spec, data=replace(data, segment_by=["colour"]))
    monkeypatch.setattr("trainer.fitting.lightfm_model.train", None)
    with pytest.raises(OptionError, match=r"--segment-by.*there is kind"):
        train_and_publish(other, places_of(tmp_path))


def test_a_file_is_trained_on_as_its_spec_says_and_the_reporter_is_told_of_every_step(tmp_path):
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

    rows = datasets.rows()
    timed = [(*row, 10**9 + second) for second, row in enumerate(rows)]
    names = ("user_id", "item_id", "weight", "timestamp")
    columns = dict(zip(names, zip(*timed, strict=True), strict=True))
    file = datasets.write(tmp_path / "a.csv", columns)
    spec = specs.spec(
        data=DataSpec(interactions=str(file), split="time", split_share=0.25),
        hyperparameters=replace(GIVEN, components=6),
        trees=3,
    )
    result = train_and_publish(spec, places_of(tmp_path), reporter=Recorder())
    assert stages == ["read", *STAGES]
    manifest = verify(tmp_path, result.manifest.version)
    assert manifest == result.manifest
    assert (manifest.components, manifest.hyperparameters["epochs"]) == (6, 3)
    assert (manifest.dataset.name, manifest.dataset.split) == ("a.csv", "time")
    assert manifest.dataset.test_interactions == round(0.25 * len(rows))
    assert {index.build["trees"] for index in manifest.indexes.values()} == {3}
    # What holds without being asked for.
    assert [gate.name for gate in result.gates] == ["evaluated_users", "min_recall"]
    # Before the indexes are built, which may take the longest, and once it is known what they serve.
    (first, model), second = metrics
    assert (first, second) == ("evaluate", ("index", result.manifest.metrics))
    served = [name for name in manifest.metrics if name.endswith(("_served", "_exact"))]
    assert {"test_precision_at_10_served", "test_ndcg_at_10_exact"} <= {*served}
    others = {*manifest.metrics} - {*served, "served_users"}
    assert model == {name: manifest.metrics[name] for name in others}
    assert manifest.evaluation.evaluated_users == manifest.metrics["evaluated_users"] > 0
    assert told[0] == ("Training, epochs", 3, 3, 3)
    assert [step[:3] for step in told[1:]] == [
        (f"Index {name!r}, {backend}, items", manifest.items, manifest.items)
        for name in ("similar", "recommend")
        for backend in ("exact", "annoy 3")
    ]
    # A file's default, and another split.
    for own, found in (({}, "random"), ({"split": "leave-last-k", "split_count": 2}, "leave-last-k")):
        data = DataSpec(interactions=str(file), **own)
        other = train_and_publish(replace(spec, data=data, label=None), places_of(tmp_path))
        assert other.manifest.dataset.split == found
    assert other.manifest.dataset.test_interactions == 2 * datasets.USERS


def test_what_is_at_fault_is_known_before_it_costs_anything(tmp_path, monkeypatch):
    forbid_training(monkeypatch)
    volume = tmp_path / "volume"
    none = specs.spec(data=DataSpec(interactions="none.csv"))
    with pytest.raises(TrainerError, match="no positive"):
        run(volume, [("u", "i", 0.0)], data={"split": "none"})
    with pytest.raises(InputError, match=r"none\.csv: No such file or directory"):
        train_and_publish(none, places_of(volume))
    # Before the reading.
    with pytest.raises(OptionError, match="--backend is 'annoi'"):
        train_and_publish(replace(none, backend="annoi"), places_of(volume))
    assert not volume.exists()
    volume.write_text("a file")
    with pytest.raises(VolumeError, match="can't be written"):
        run(volume)


def test_a_version_that_passes_its_gates_gets_the_label(tmp_path):
    older = run(tmp_path, datasets.rows(), gates=FAILS)
    # The first version too has to pass them; who asks for it by name can still have it.
    assert (older.passed, older.label, list_labels(tmp_path)) == (False, None, {})
    failed = [(gate.name, gate.measured) for gate in older.gates if not gate.passed]
    assert failed == [("min_auc", older.manifest.metrics["test_auc_unseen"])]
    assert verify(tmp_path, older.manifest.version) == older.manifest
    result = run(tmp_path, grown(), gates=PASSES, promote=False)
    assert [gate.name for gate in result.gates] == ["evaluated_users", "min_auc", "min_recall"]
    # The moving is left to the caller.
    assert (result.passed, result.label, list_labels(tmp_path)) == (True, None, {})
    for own, label, moved in ((result, "current", True), (result, None, False), (older, "a", False)):
        expected = replace(own, label=label) if moved else own
        assert promote_if_passed(Volume(tmp_path), own, label=label) == expected
    assert list_labels(tmp_path) == {"current": result.manifest.version}


def test_what_does_not_go_on_from_the_version_before_is_not_trained_on(tmp_path, monkeypatch):
    first = run(tmp_path, datasets.rows()).manifest
    others = [(f"{user}.0", item, weight) for user, item, weight in datasets.rows()]
    forbid_training(monkeypatch)
    with pytest.raises(OptionError, match=r"--components is 8, but should be 4, as in the version"):
        run(tmp_path, warm_start=True, hyperparameters=replace(GIVEN, components=8))
    with pytest.raises(DiscontinuityError, match=f"0 of 24 users of version {first.version}"):
        run(tmp_path, others, gates=Gates())
    with pytest.raises(DiscontinuityError, match=r"at most 1\.0% less is allowed") as caught:
        run(tmp_path, datasets.rows()[:300], gates=Gates(), max_shrinkage=0.01, label="canary")
    assert "interactions" in [failed.name for failed in caught.value.failed]
    assert list_versions(tmp_path) == [first.version]
    # Where it is allowed it comes to the training.
    with pytest.raises(pytest.fail.Exception, match="it trained"):
        run(tmp_path, others, gates=Gates(allow_different_data=True))


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
    other = run(tmp_path, label=None).manifest.version
    result = run(tmp_path, gates=Gates(), promote=False)
    promote(tmp_path, other)
    late = promote_if_passed(Volume(tmp_path), result, label="current")
    assert (late.label, late.passed, late.gates[-1].name) == (None, False, "label")
    assert all(name in late.gates[-1].text for name in (first, other))
    assert list_labels(tmp_path) == {"current": other}


def test_a_warm_start_goes_on_from_the_model_that_the_label_names(tmp_path):
    """And from no other, though there is a newer one."""
    first = run(tmp_path, datasets.rows(), hyperparameters=replace(GIVEN, epochs=5, seed=7))
    other = run(tmp_path, datasets.rows(), hyperparameters=replace(GIVEN, seed=8), promote=False)
    warm = run(tmp_path, grown(), warm_start=True, hyperparameters=GIVEN)

    quick = lightfm_of(warm.dataset, GIVEN)

    def expected(of):
        start = warm_start.warm_model(
            warm_start.load(tmp_path, of.manifest.version), warm.dataset, quick
        )
        model = train(warm.dataset, quick, on_epoch=lambda: None, start=start)
        embeddings = extract_embeddings(model, warm.dataset)
        return embeddings.item_vectors, embeddings.user_vectors

    cold = run(tmp_path, grown(), hyperparameters=GIVEN)
    for found, right, *wrong in zip(
        vectors(tmp_path, warm), expected(first), expected(other), vectors(tmp_path, cold), strict=True
    ):
        np.testing.assert_array_equal(found, right)
        assert not any(np.array_equal(found, one) for one in wrong)
    assert not warnings_of(warm, ANEW)
    assert "a new item" in open_publication(tmp_path, warm.manifest.version).items


def test_a_warm_start_without_a_model_begins_anew_and_says_so_and_is_gone_on_from(tmp_path):
    promote(tmp_path, publications.publish(tmp_path))
    # The first label's version has no model, the other one none at all.
    anew = [run(tmp_path, warm_start=True, label=label) for label in ("current", "canary")]
    assert all(warnings_of(result, ANEW) for result in anew)
    cold = run(tmp_path, label="cold")
    assert not warnings_of(cold, ANEW)
    np.testing.assert_array_equal(vectors(tmp_path, anew[0])[0], vectors(tmp_path, cold)[0])
    assert not warnings_of(run(tmp_path, warm_start=True), ANEW)


def test_weights_that_the_training_does_not_look_at_are_warned_of(tmp_path):
    rows = [(user, item, weight / 1000) for user, item, weight in datasets.rows()]
    for data, is_weighed in (({"half_life_days": 3.0}, True), ({"last_days": 8.0}, False)):
        for sees in (False, True):
            own = replace(GIVEN, sample_weights=sees)
            result = run(tmp_path, rows, data=data, hyperparameters=own)
            unseen = warnings_of(result, "the model only sees whether a weight is above 0")
            assert len(unseen) == (is_weighed and not sees)
            assert len(warnings_of(result, "weigh 0.02 or more")) == sees


def test_the_indexing_is_what_the_spec_says():
    spec = specs.spec(backend="exact,annoy", target_recall=0.8, strict_recall=True, index_threads=3)
    found = indexing_of(spec)
    assert [backend.name for backend in found.backends] == ["exact", "annoy"]
    seed = datasets.QUICK.seed
    assert found.options == TuningOptions(target_recall=0.8, strict=True, threads=3, seed=seed)
    assert indexing_of(specs.spec(index_threads=None)).options.threads >= 1
