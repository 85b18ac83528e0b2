"""A training by its spec, from a file to a label."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.errors import InvalidPublicationError
from lightfm_retriever.publication.labels import list_labels, promote
from lightfm_retriever.publication.reader import list_versions, open_publication
from lightfm_retriever.publication.verification import verify
from lightfm_retriever.publication.volume import FolderVolume
from tests import datasets, publications, specs
from trainer.errors import InputError, OptionError
from trainer.fitting import warm_start
from trainer.fitting.embeddings import extract_embeddings
from trainer.fitting.lightfm_model import train
from trainer.pipeline import Places, indexing_of, train_and_publish
from trainer.progress import Silent
from trainer.promotion.checks import promote_if_passed
from trainer.promotion.gates import DiscontinuityError, Gates
from trainer.spec import DataSpec

QUICK = replace(datasets.QUICK, epochs=3)
PASSES = Gates(min_auc=0.0, min_recall=0.5)
FAILS = Gates(min_auc=1.0, min_recall=0.5)
ANEW = "this training began anew"


@pytest.fixture
def places(tmp_path):
    return Places(FolderVolume(tmp_path / "volume"), tmp_path / "datasets", tmp_path / "events")


@pytest.fixture
def run(places, tmp_path):
    """Train on a file of rows, with the rest of the spec as keywords."""

    def run(rows=None, *, data=None, how=None, promote=True, **changes):
        path = datasets.write_rows(tmp_path / "interactions.csv", rows)
        spec = specs.spec(
            **{
                "data": DataSpec(interactions=str(path), **(data or {})),
                "hyperparameters": QUICK,
                "trees": 3,
                **changes,
            }
        )
        result = train_and_publish(spec, places, **(how or {}))
        return promote_if_passed(places.volume, result, label=spec.label) if promote else result

    return run


@pytest.fixture
def no_training(monkeypatch):
    """Fails the test when anything is trained from now on."""

    def forbid():
        monkeypatch.setattr("trainer.pipeline.train", lambda *_, **__: pytest.fail("it trained"))

    return forbid


def grown():
    """The rows of `datasets.rows`, and users, items and likes that came later."""
    return [*datasets.rows(), ("a new user", "i1", 1.0), ("u1", "a new item", 1.0), ("u2", "i3", 2.0)]


def vectors(volume, result):
    publication = open_publication(volume, result.manifest.version)
    return np.array(publication.item_vectors), np.array(publication.user_vectors)


def warnings_of(result, part):
    return [warning for warning in result.warnings if part in warning]


def test_what_a_spec_says_is_what_is_published(run, places):
    result = run(hyperparameters=replace(QUICK, components=6), data={"split_share": 0.25})
    manifest = verify(places.volume.folder, result.manifest.version)
    assert manifest == result.manifest
    assert (manifest.components, manifest.hyperparameters["epochs"]) == (6, 3)
    # A file's default.
    assert (manifest.dataset.name, manifest.dataset.split) == ("interactions.csv", "random")
    assert manifest.dataset.test_interactions == pytest.approx(0.25 * len(datasets.rows()), abs=25)
    assert {index.build["trees"] for index in manifest.indexes.values()} == {3}
    assert list_labels(places.volume.folder) == {"current": manifest.version}
    assert (result.label, result.passed) == ("current", True)
    # What holds without being asked for.
    assert [gate.name for gate in result.gates] == ["evaluated_users", "min_recall"]


def test_the_steps_are_told_of_from_the_reading_to_the_gates(run):
    stages = []

    class Listening(Silent):
        def stage(self, name):
            stages.append(name)

    run(how={"reporter": Listening()})
    assert stages == ["read", "dataset", "fit", "evaluate", "index", "publish", "verify", "gates"]


def test_a_version_that_passes_its_gates_gets_the_label(run, places):
    older = run().manifest.version
    result = run(grown(), gates=PASSES)
    assert [gate.name for gate in result.gates] == [
        # What is kept of the version before.
        "min_users_kept",
        "min_items_kept",
        "interactions",
        "weight",
        "min_pairs_kept",
        "evaluated_users",
        "min_auc",
        "min_recall",
        "precision_kept",
    ]
    assert (result.passed, result.label) == (True, "current")
    assert result.manifest.version != older
    assert list_labels(places.volume.folder) == {"current": result.manifest.version}


def test_a_version_that_fails_a_gate_is_published_without_the_label(run, places):
    older = run().manifest.version
    result = run(grown(), gates=FAILS)
    assert [gate.name for gate in result.gates if not gate.passed] == ["min_auc"]
    assert (result.passed, result.label) == (False, None)
    assert list_labels(places.volume.folder) == {"current": older}
    assert set(list_versions(places.volume.folder)) == {older, result.manifest.version}
    # Who asks for it by name can still have it.
    assert verify(places.volume.folder, result.manifest.version) == result.manifest


def test_the_first_version_too_has_to_pass_its_gates(run, places):
    assert run(gates=FAILS).label is None
    assert list_labels(places.volume.folder) == {}
    # Nothing to be worse than.
    assert run(gates=Gates(max_relative_loss=0.0)).label == "current"


def test_another_label_is_moved_and_compared_with_by_itself(run, places):
    current = run().manifest.version
    gates = Gates(max_relative_loss=0.5)
    first = run(grown(), label="beta", gates=gates)
    # As long as it names none, it is held against what everybody gets.
    assert current in first.gates[-1].text
    assert list_labels(places.volume.folder) == {"current": current, "beta": first.manifest.version}
    second = run(grown(), label="beta", gates=gates, hyperparameters=replace(QUICK, seed=2))
    assert first.manifest.version in second.gates[-1].text
    assert list_labels(places.volume.folder)["current"] == current


def test_without_a_label_none_is_moved(run, places):
    assert run(label=None, gates=PASSES).label is None
    assert list_labels(places.volume.folder) == {}


@pytest.mark.parametrize("gates", [Gates(), PASSES, FAILS])
def test_the_moving_of_the_label_can_be_left_to_the_caller(run, places, gates):
    older = run().manifest.version
    result = run(grown(), gates=gates, promote=False)
    assert result.label is None
    assert list_labels(places.volume.folder) == {"current": older}
    assert verify(places.volume.folder, result.manifest.version) == result.manifest
    later = promote_if_passed(places.volume, result, label="current")
    newest = result.manifest.version if result.passed else older
    assert (later.label is not None, result.passed) == (gates is not FAILS, gates is not FAILS)
    assert list_labels(places.volume.folder) == {"current": newest}


def test_a_warm_start_goes_on_from_the_model_that_the_label_names(run, places):
    """And from no other, though there is a newer one."""
    first = run(hyperparameters=replace(QUICK, epochs=5, seed=7))
    other = run(hyperparameters=replace(QUICK, seed=8), promote=False)
    warm = run(grown(), warm_start=True)

    def expected(of):
        start = warm_start.warm_model(
            warm_start.load(places.volume.folder, of.manifest.version), warm.dataset, QUICK
        )
        model = train(warm.dataset, QUICK, on_epoch=lambda: None, start=start)
        embeddings = extract_embeddings(model, warm.dataset)
        return embeddings.item_vectors, embeddings.user_vectors

    for found, right, wrong, cold in zip(
        vectors(places.volume.folder, warm),
        expected(first),
        expected(other),
        vectors(places.volume.folder, run(grown())),
        strict=True,
    ):
        np.testing.assert_array_equal(found, right)
        assert not np.array_equal(found, wrong)
        assert not np.array_equal(found, cold)
    assert not warnings_of(warm, ANEW)
    assert "a new item" in open_publication(places.volume.folder, warm.manifest.version).items


def test_a_warm_start_can_be_gone_on_from_again(run, places):
    made = [run(warm_start=number > 0) for number in range(3)]
    assert len({result.manifest.version for result in made}) == 3
    state, again = (warm_start.load(places.volume.folder, of.manifest.version) for of in made[1:])
    # Sums of squares, so they only grow.
    assert (again.items.gradients >= state.items.gradients).all()
    assert (again.items.gradients > state.items.gradients).any()


def test_a_warm_start_without_a_version_begins_anew_and_says_so(run, places):
    warm = run(warm_start=True)
    assert warnings_of(warm, ANEW)
    # Other labels' models aren't for this one.
    other = run(warm_start=True, label="canary")
    assert warnings_of(other, ANEW)
    cold = run(label="cold")
    assert not warnings_of(cold, ANEW)
    for first, second in zip(
        vectors(places.volume.folder, warm), vectors(places.volume.folder, cold), strict=True
    ):
        np.testing.assert_array_equal(first, second)


def test_a_warm_start_from_a_version_without_a_model_begins_anew_and_says_so(run, places):
    promote(places.volume.folder, publications.publish(places.volume.folder))
    warm = run(warm_start=True, gates=Gates(allow_different_data=True))
    assert warnings_of(warm, ANEW)
    assert list_labels(places.volume.folder) == {"current": warm.manifest.version}


def test_a_warm_start_with_other_components_is_refused_before_the_training(run, places, no_training):
    older = run().manifest.version
    no_training()
    with pytest.raises(OptionError, match=r"--components is 8, but should be 4, as in the version"):
        run(grown(), warm_start=True, hyperparameters=replace(QUICK, components=8))
    assert list_versions(places.volume.folder) == [older]
    assert list_labels(places.volume.folder) == {"current": older}


def test_a_warm_start_from_a_damaged_version_is_refused_before_the_training(run, places, no_training):
    older = run().manifest.version
    path = layout.version_dir(places.volume.folder, older) / layout.MODEL_USER_VECTORS
    publications.overwrite(path, path.read_bytes()[:-4] + b"\0\0\0\0")
    no_training()
    with pytest.raises(InvalidPublicationError, match=r"model_user_vectors\.npy: SHA-256"):
        run(grown(), warm_start=True)
    assert list_versions(places.volume.folder) == [older]


ALL = {"data": {"split": "none"}, "gates": Gates(allow_unevaluated=True)}


def test_an_input_that_shrank_is_refused_with_both_numbers(run, places, no_training):
    rows = datasets.rows()
    older = run(**ALL).manifest
    assert older.dataset.train_interactions == len(rows) == 312
    no_training()
    for options in ({"max_shrinkage": 0.5}, {}):
        with pytest.raises(DiscontinuityError) as caught:
            run(rows[:150], **ALL, **options)
        assert "interactions" in [failed.name for failed in caught.value.failed]
        for part in ("150 interactions", "has 312", older.version, "--max-shrinkage"):
            assert part in str(caught.value)
    assert list_versions(places.volume.folder) == [older.version]
    assert list_labels(places.volume.folder) == {"current": older.version}


def test_an_input_that_shrank_less_or_grew_is_trained_on(run):
    rows = datasets.rows()
    run(**ALL)
    assert run(rows[:170], **ALL, max_shrinkage=0.6).label == "current"
    # Now that is what there was before.
    assert run(rows, **ALL, max_shrinkage=0.0).label == "current"


def test_the_weights_may_not_shrink_where_it_is_asked_for(run):
    lighter = [(user, item, weight / 100) for user, item, weight in datasets.rows()]
    run(**ALL)
    with pytest.raises(DiscontinuityError, match=r"the weights above 0 sum to .* \(-99\.0%\)"):
        run(lighter, **ALL, max_shrinkage=0.5)
    # Other event weights or another half-life may be meant.
    assert run(lighter, **ALL).label == "current"


def test_an_input_cannot_have_shrunk_where_nothing_was_published(run):
    rows = datasets.rows()
    assert run(rows[:50], **ALL, max_shrinkage=0.0).label == "current"
    assert run(rows[:20], **ALL, max_shrinkage=0.0, label=None).label is None
    with pytest.raises(DiscontinuityError, match="'current'"):
        run(rows[:20], **ALL, max_shrinkage=0.0, label="canary")


def timed_file(tmp_path):
    """Interactions with events and times, of ten days."""
    users, items, _ = zip(*datasets.rows(), strict=True)
    columns = {
        "user_id": users,
        "item_id": items,
        "event": ["view", "buy"] * (len(users) // 2),
        "timestamp": [str(1_700_000_000 + row * 864_000 // len(users)) for row in range(len(users))],
    }
    return str(datasets.write_csv(tmp_path / "timed.csv", columns))


WEIGHED = "without --sample-weights the model sees only whether a weight is above 0"


@pytest.mark.parametrize("sample_weights", [False, True])
@pytest.mark.parametrize(
    ("data", "is_weighed"),
    [
        ({"event_weights": {"view": 1.0, "buy": 5.0}}, True),
        ({"half_life_days": 3.0}, True),
        ({"event_weights": {"view": 1.0, "buy": 5.0}, "half_life_days": 3.0}, True),
        ({"last_days": 8.0}, False),
        ({}, False),
    ],
)
def test_weights_that_the_training_does_not_look_at_are_warned_of(
    places, tmp_path, data, is_weighed, sample_weights
):
    spec = specs.spec(
        data=DataSpec(interactions=timed_file(tmp_path), **data),
        hyperparameters=replace(QUICK, sample_weights=sample_weights),
        trees=3,
    )
    result = train_and_publish(spec, places)
    assert len(warnings_of(result, WEIGHED)) == (is_weighed and not sample_weights)


def test_weights_change_the_model_with_sample_weights(places, tmp_path):
    def item_vectors(**event_weights):
        spec = specs.spec(
            data=DataSpec(interactions=timed_file(tmp_path), event_weights=event_weights),
            hyperparameters=replace(QUICK, sample_weights=True),
            trees=3,
        )
        return vectors(places.volume.folder, train_and_publish(spec, places))[0]

    one = item_vectors(view=1.0, buy=1.0)
    np.testing.assert_array_equal(one, item_vectors(view=1.0, buy=1.0))
    assert not np.array_equal(one, item_vectors(view=1.0, buy=5.0))


def test_a_file_that_is_not_there_leaves_the_volume_alone(places):
    with pytest.raises(InputError, match=r"none\.csv: No such file or directory"):
        train_and_publish(specs.spec(data=DataSpec(interactions="none.csv")), places)
    assert not places.volume.folder.exists()


def test_an_index_that_cannot_be_made_is_known_before_the_reading(places):
    spec = specs.spec(data=DataSpec(interactions="none.csv"), backend="annoi")
    with pytest.raises(OptionError, match="--backend is 'annoi'"):
        train_and_publish(spec, places)


def test_the_indexing_is_what_the_spec_says():
    found = indexing_of(
        specs.spec(backend="exact,annoy", target_recall=0.8, strict_recall=True, index_threads=3)
    )
    assert [backend.name for backend in found.backends] == ["exact", "annoy"]
    options = found.options
    assert (options.target_recall, options.strict, options.threads) == (0.8, True, 3)
    assert options.seed == datasets.QUICK.seed
    assert indexing_of(specs.spec(index_threads=None)).options.threads >= 1
