"""From embeddings to a publication, whatever model they are of."""

from __future__ import annotations

import importlib.metadata
from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import NumberColumn, TextColumn
from lightfm_retriever.publication.errors import InvalidPublicationError, VectorError, VolumeError
from lightfm_retriever.publication.manifest import DatasetFacts
from lightfm_retriever.publication.reader import list_versions, open_publication
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.ranking import best
from lightfm_retriever.publication.vectors.vector_space import user_queries
from lightfm_retriever.publication.verification import verify
from retriever.answering.queries import recommend, similar_items
from retriever.answering.questions import Options, Search
from retriever.answering.search import IndexCosts
from retriever.answering.snapshot import open_snapshot
from retriever.worker.warm_up import warm_up
from tests.unit.trainer.index import cases
from trainer.errors import RecallError
from trainer.evaluation.of_vectors import evaluate_vectors
from trainer.fitting.embeddings import Embeddings
from trainer.fitting.user_features import UserFeatureVectors
from trainer.index import NAMES, installed, make_backends
from trainer.index.measure import Questions
from trainer.index.protocol import IndexTask
from trainer.index.tuning import TuningOptions
from trainer.progress import Silent
from trainer.publishing.indexing import Indexing, questions
from trainer.publishing.publish import publish
from trainer.publishing.publishable import Publishable
from trainer.timings import Timings

ITEMS, USERS = 400, 30


def source(*, items=ITEMS, users=USERS, **changes):
    random = np.random.default_rng(1)
    vectors = cases.uneven(items)
    made = Publishable(
        items=IdMap.build([f"i{row}" for row in range(items)]),
        users=IdMap.build([f"u{row}" for row in range(users)]),
        embeddings=Embeddings(
            item_vectors=vectors, user_vectors=cases.vectors(max(1, users), seed=2)[:users]
        ),
        seen=cases.rows(
            np.sort(random.choice(items, user % 20 if items > 20 else 0, False))
            for user in range(users)
        ),
        held_out=None,
        titles=None,
        facts=DatasetFacts(
            name="own",
            split="none",
            train_interactions=0,
            test_interactions=0,
            item_features=[],
            user_features=[],
        ),
        hyperparameters={},
        metrics={},
    )
    return replace(made, **changes)


def run(volume, of=None, *, backends="exact", reporter=None, **options):
    made = make_backends(backends) if isinstance(backends, str) else backends
    return publish(
        of or source(),
        volume,
        indexing=Indexing(backends=made, options=TuningOptions(**{"seed": 1, "threads": 1, **options})),
        timings=Timings(),
        reporter=reporter or Silent(),
    )


@pytest.mark.parametrize("backend", [*NAMES, "auto", "annoy,exact,faiss,nmslib"])
def test_what_is_published_are_the_contracts_files_and_the_chosen_indexes(tmp_path, backend):
    published = run(tmp_path, backends=backend)
    manifest = verify(tmp_path, published.manifest.version)
    assert manifest == published.manifest
    expected = {*layout.REQUIRED_FILES, layout.ITEM_NORMS, layout.ID_RANKS, layout.FOLD_IN}
    expected |= {layout.POPULARITY, layout.POPULAR_ITEMS}
    for name, facts in manifest.indexes.items():
        assert facts.backend in {one.name for one in make_backends(backend)}
        if facts.backend != "exact":
            expected.add(layout.index_file(name, facts.backend))
        assert facts.file == (None if facts.backend == "exact" else f"{name}.{facts.backend}")
        assert facts.trials[0].backend == "exact"
        chosen = (facts.backend, facts.build, facts.query, facts.recall_at_10, facts.query_microseconds)
        assert chosen in [
            (one.backend, one.build, one.query, one.recall_at_10, one.query_microseconds)
            for one in facts.trials
        ]
    directory = layout.version_dir(tmp_path, manifest.version)
    # What was tried and not chosen is gone, and where it lay.
    assert {path.name for path in directory.iterdir()} == expected | {layout.MANIFEST}
    assert manifest.files.keys() == expected
    assert list(layout.staging_dir(tmp_path).iterdir()) == []


@pytest.mark.parametrize("backend", NAMES)
def test_what_was_measured_is_what_is_served(tmp_path, monkeypatch, backend):
    """The retriever's own answers to the same questions have the recall of the manifest."""
    monkeypatch.setattr("trainer.index.measure._SECONDS", 60.0)  # all questions, on any machine
    of = source(items=2000)
    published = run(tmp_path, of, backends=backend, target_recall=0.8)
    snapshot = open_snapshot(tmp_path, published.manifest.version)
    # As in a catalogue that takes too long to be scored whole.
    free = IndexCosts(0, 0)
    snapshot = replace(
        snapshot,
        similar=replace(snapshot.similar, costs=free),
        recommend=replace(snapshot.recommend, costs=free),
    )
    for name, ask, total in (("similar", similar_items, 1000), ("recommend", recommend, USERS)):
        facts = published.manifest.indexes[name]
        rows = np.random.default_rng(1).permutation(2000 if name == "similar" else USERS)[:total]
        found = 0
        for row in rows.tolist():
            external_id = f"{'i' if name == 'similar' else 'u'}{row}"
            external_id = (of.items if name == "similar" else of.users).external_id(row)
            answer = ask(snapshot, external_id)
            exact = ask(snapshot, external_id, Options(search=Search(exact=True)))
            assert len(answer.rows) == len(exact.rows) == 10
            # The same items, and not items of about the same score: norms and directions are random.
            found += len({*answer.rows.tolist()} & {*exact.rows.tolist()})
        assert facts.recall_at_10 == pytest.approx(found / (10 * total), abs=2e-3)
        assert facts.recall_at_10 >= 0.8
        assert facts.recall_at_10 < 1 or backend in ("exact", "nmslib")


def test_what_belongs_to_rows_is_read_back(tmp_path):
    held_out = cases.rows([[user, user + 7] for user in range(USERS)])
    of = source(held_out=held_out, titles=[f"Title {row} – 映画" for row in range(ITEMS)])
    opened = open_publication(tmp_path, run(tmp_path, of).manifest.version)
    np.testing.assert_array_equal(opened.item_vectors, of.embeddings.item_vectors)
    np.testing.assert_array_equal(opened.user_vectors, of.embeddings.user_vectors)
    exactly = of.embeddings.item_vectors[:, :-1].astype(np.float64)
    np.testing.assert_allclose(opened.item_norms, np.linalg.norm(exactly, axis=1), rtol=1e-6)
    for user in range(USERS):
        assert opened.seen[user].tolist() == of.seen[user].tolist()
        assert opened.held_out[user].tolist() == [user, user + 7]
    assert bytes(opened.titles[3]).decode() == "Title 3 – 映画"


def test_what_ranks_breaks_ties_and_folds_in_is_read_back(tmp_path):
    popularity = np.random.default_rng(3).integers(0, 5, ITEMS).astype(np.int32)
    for given in (None, popularity):
        of = source(popularity=given)
        opened = open_publication(tmp_path, run(tmp_path, of).manifest.version)
        ids = [of.items.external_id(row).encode() for row in range(ITEMS)]
        assert [ids[row] for row in np.argsort(opened.id_ranks)] == sorted(ids)
        # By default those who have seen an item make it popular.
        expected = np.bincount(of.seen.values, minlength=ITEMS) if given is None else given
        np.testing.assert_array_equal(opened.popularity, expected)
        assert len({*expected.tolist()}) < ITEMS
        best_first = sorted(range(ITEMS), key=lambda row: (-expected[row], ids[row]))
        assert opened.popular_items.tolist() == best_first
        vectors = of.embeddings
        made = FoldIn.build(vectors.item_vectors, vectors.user_vectors, of.seen, seed=1)
        np.testing.assert_array_equal(opened.fold_in, made.array)
        assert opened.user_features is opened.user_feature_vectors is opened.attributes is None


def test_user_features_and_attributes_are_read_back_by_their_names(tmp_path):
    names = ["country:DE", "age:25-34", "sex:ő"]
    vectors = cases.vectors(3, source().embeddings.components + 1, seed=5)
    rows = range(ITEMS)
    tags = [[f"t{row % 3}", "映画"][: row % 3] for row in rows]
    years = np.array([np.nan if row % 7 == 0 else 1990 + row % 5 for row in rows])
    of = source(
        user_features=UserFeatureVectors(names, vectors),
        attributes=[
            TextColumn("tags", tags),
            NumberColumn("year", years),
            TextColumn("nothing", [[]] * ITEMS),
        ],
    )
    version = run(tmp_path, of).manifest.version
    assert [(own.name, own.kind) for own in verify(tmp_path, version).attributes] == [
        ("tags", "text"),
        ("year", "number"),
        ("nothing", "text"),
    ]
    opened = open_publication(tmp_path, version)
    assert len(opened.user_features) == 3
    for name, vector in zip(names, vectors, strict=True):
        np.testing.assert_array_equal(
            opened.user_feature_vectors[opened.user_features.row(name)], vector
        )
    attributes = opened.attributes
    for row in rows:
        assert attributes.texts(0, row) == sorted(tags[row])
        assert attributes.texts(2, row) == []
        assert attributes.number(1, row) == (None if row % 7 == 0 else years[row])
    found = attributes.items_with(attributes.token(0, "映画")).tolist()
    assert found == [row for row in rows if "映画" in tags[row]]


def test_where_nobody_can_be_folded_in_there_is_no_file_of_it(tmp_path, monkeypatch):
    # As of numbers that float32 can't hold.
    monkeypatch.setattr(FoldIn, "build", lambda *_, **__: None)
    manifest = run(tmp_path).manifest
    assert layout.FOLD_IN not in manifest.files
    assert open_publication(tmp_path, manifest.version).fold_in is None
    assert verify(tmp_path, manifest.version) == manifest


def test_without_users_all_are_as_popular_and_sessions_can_be_folded_in(tmp_path):
    version = run(tmp_path, source(users=0)).manifest.version
    verify(tmp_path, version)
    opened = open_publication(tmp_path, version)
    assert opened.fold_in is not None
    assert not opened.popularity.any()
    assert opened.id_ranks[opened.popular_items].tolist() == [*range(ITEMS)]


def test_where_nothing_is_held_out_there_is_no_file_of_it(tmp_path):
    manifest = run(tmp_path).manifest
    assert not {name for pair in layout.OPTIONAL_PAIRS for name in pair} & manifest.files.keys()
    assert open_publication(tmp_path, manifest.version).held_out is None


class Poor:
    """An index that finds nothing."""

    name, distribution = "poor", None

    def rounds(self, *_):
        return [[{"of": 1}], [{"of": 2}]]

    def build(self, task):
        task.path.write_bytes(b"poor")
        [exact] = make_backends("exact")
        built = exact.build(task)
        return replace(built, build=dict(task.settings), has_file=True, index=self)

    def search(self, *_):
        return np.zeros(0, dtype=np.int64)


def test_where_too_little_is_found_exact_search_stands_in_and_that_is_a_warning(tmp_path):
    published = run(tmp_path, backends=[Poor()])
    manifest = published.manifest
    for (name, facts), warning in zip(manifest.indexes.items(), published.warnings, strict=True):
        assert (facts.backend, facts.recall_at_10, facts.target_recall) == ("exact", 1.0, 0.95)
        assert facts.file is None
        assert {trial.backend for trial in facts.trials} == {"exact", "poor"}
        took = f"{facts.query_microseconds:.0f} µs"
        assert warning == (
            f"index {name!r}: poor reaches recall@10 0.0000 at best, below the target of 0.95, so "
            f"exact search is used: recall@10 1.0000 by exact in {took}"
        )


def test_where_exact_search_takes_long_another_backend_stands_in_which_retrievers_need(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("trainer.index.tuning._AT_ONCE_MICROSECONDS", 0)
    monkeypatch.setattr("trainer.publishing.indexing.stand_ins", lambda _: make_backends("annoy"))
    ask = Questions.ask

    def slowly(questions, built, effort):
        """Where exact search takes a second: how long it does here is the machine's."""
        found = ask(questions, built, effort)
        return found if built.has_file else replace(found, query_microseconds=1e6)

    monkeypatch.setattr(Questions, "ask", slowly)
    published = run(tmp_path, backends=[Poor()], target_recall=0.1)
    facts, warning = published.manifest.indexes["recommend"], published.warnings[1]
    assert (facts.backend, facts.recall_at_10 >= 0.1) == ("annoy", True)
    assert verify(tmp_path, published.manifest.version).files.keys() >= {"recommend.annoy"}
    assert warning.startswith("index 'recommend': poor reaches recall@10 0.0000 at best, below the")
    assert " target of 0.1, so annoy is used: recall@10 " in warning
    assert warning.endswith("; retrievers need annoy for it")
    # Whose release is told, too.
    assert "annoy" in published.manifest.libraries


def test_where_nothing_may_stand_in_what_is_published_and_that_is_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.index.tuning._AT_ONCE_MICROSECONDS", 0)
    monkeypatch.setattr("trainer.index.tuning._FELT_MICROSECONDS", 0)
    monkeypatch.setattr("trainer.index.tuning._WORTH_MISSING", 0)
    monkeypatch.setattr("trainer.publishing.indexing.stand_ins", lambda _: [])
    published = run(tmp_path, backends=[Poor()])
    assert published.manifest.indexes["similar"].recall_at_10 == 0
    for name, warning in zip(("similar", "recommend"), published.warnings, strict=True):
        assert f"index {name!r} reaches recall@10 0.0000 by poor in " in warning
        assert "below the target of 0.95: exact search, which finds all, takes " in warning
        assert warning.endswith("µs (--backend exact)")


def test_too_little_found_is_an_error_where_that_is_asked_for_and_nothing_is_published(tmp_path):
    older = run(tmp_path).manifest.version
    with pytest.raises(RecallError) as caught:
        run(tmp_path, backends=[Poor()], strict=True, target_recall=0.5)
    assert (caught.value.index, caught.value.target, caught.value.reached) == ("similar", 0.5, 0.0)
    message = str(caught.value)
    assert message.startswith(
        "index 'similar' reaches recall@10 0.0000 by poor, below the target of 0.5"
    )
    assert "nothing was published" in message
    for flag in ("--target-recall", "--backend auto", "--strict-recall"):
        assert flag in message
    assert list_versions(tmp_path) == [older]
    assert list(layout.staging_dir(tmp_path).iterdir()) == []


def test_enough_found_is_no_error_where_that_is_asked_for(tmp_path):
    exact, poor = make_backends("exact")[0], Poor()
    published = run(tmp_path, backends=[poor, exact], strict=True, target_recall=1.0)
    assert {index.backend for index in published.manifest.indexes.values()} == {"exact"}
    assert not any("below the target" in warning for warning in published.warnings)


def test_a_catalogue_that_needs_no_index_is_a_warning(tmp_path):
    class Slow:
        name, distribution = "slow", None

        def rounds(self, *_):
            return [[{}]]

        def build(self, task):
            task.path.write_bytes(b"slow")
            [exact] = make_backends("exact")
            built = exact.build(task)
            self.index = built.index
            return replace(built, build=dict(task.settings), has_file=True, index=self)

        def search(self, query, count, effort, relative=1.0):  # noqa: ARG002
            for _ in range(9):
                self.index.search(query, count, effort)
            return self.index.search(query, count, effort)

    warnings = run(tmp_path, backends=[Slow()]).warnings
    assert len(warnings) == 2
    for name, warning in zip(("similar", "recommend"), warnings, strict=True):
        assert warning.startswith(f"index {name!r}: exact search takes ")
        assert warning.endswith("a catalogue of this size needs no index (--backend auto)")
    assert run(tmp_path, backends="exact").warnings == []


def test_without_users_items_are_asked_for_what_is_like_them(tmp_path):
    for backend in installed():
        published = run(tmp_path, source(users=0), backends=[backend])
        manifest = verify(tmp_path, published.manifest.version)
        assert manifest.users == 0
        assert manifest.indexes["recommend"].recall_at_10 >= 0.95
        assert published.warnings[-1] == (
            "index 'recommend' was measured with items as queries, since there is no user"
        )


def test_questions_are_those_that_the_retriever_is_asked():
    """What is similar to each item but itself; what each user hasn't seen."""
    of = source(items=50, users=20)
    asked = []

    class Recorder:
        def __init__(self, vectors, cosine):
            self.vectors, self.cosine = vectors.astype(np.float64), cosine

        def search(self, query, count, *_):
            asked.append(count)
            norms = np.linalg.norm(self.vectors, axis=1) if self.cosine else 1
            return best(self.vectors @ query / norms, count)

    embeddings = of.embeddings
    [exact] = make_backends("exact")
    for name, vectors, excluded in (
        ("similar", embeddings.item_embeddings, [1] * 50),
        ("recommend", embeddings.item_vectors, [len(of.seen[user]) for user in range(20)]),
    ):
        asked.clear()
        space = "cosine" if name == "similar" else "inner_product"
        built = exact.build(IndexTask(vectors, space, None, {}, seed=1))
        built = replace(built, index=Recorder(vectors, name == "similar"))
        found = questions(name, embeddings, of.seen, seed=1).ask(built, 0)
        assert found.recall == 1.0
        assert sorted(asked) == sorted(10 + number for number in excluded)


def test_users_are_asked_for_with_one_in_the_place_of_their_bias():
    of = source()
    asked = questions("recommend", of.embeddings, of.seen, seed=1)._queries
    expected = user_queries(of.embeddings.user_vectors)
    assert {*map(tuple, asked.tolist())} == {*map(tuple, expected.tolist())}
    assert (asked[:, -1] == 1).all()


@pytest.mark.parametrize("backend", [name for name in NAMES if name != "exact"])
def test_a_disk_that_is_full_when_an_index_is_saved_publishes_nothing(tmp_path, monkeypatch, backend):
    older = run(tmp_path).manifest.version
    [made] = make_backends(backend)
    building = type(made).build

    def full(self, task):
        building(self, task)
        raise OSError(28, "No space left on device", str(task.path))

    monkeypatch.setattr(type(made), "build", full)
    with pytest.raises(VolumeError, match="No space left on device; nothing was published"):
        run(tmp_path, backends=[made])
    assert list_versions(tmp_path) == [older]
    assert list(layout.staging_dir(tmp_path).iterdir()) == []


def test_only_what_verifies_appears(tmp_path, monkeypatch):
    """What doesn't verify never appears: whoever promotes the newest version by hand won't meet it."""
    older = run(tmp_path).manifest.version

    raised = []

    def fails(directory, version):
        assert layout.is_version_name(version)
        # All is there, but where nobody looks.
        assert {path.name for path in directory.iterdir()} >= {layout.MANIFEST, layout.ITEM_VECTORS}
        assert list_versions(tmp_path) == [older]
        raise raised[-1]

    for problem, expected in (
        (InvalidPublicationError(tmp_path / "fold_in.npy", "row 4 is odd"), InvalidPublicationError),
        (OSError(28, "No space left on device"), VolumeError),
        (OSError(5, "Input/output error"), VolumeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ):
        raised.append(problem)
        monkeypatch.setattr("lightfm_retriever.publication.verification.verify_directory", fails)
        with pytest.raises(expected) as caught:
            run(tmp_path, source(users=USERS - 1))
        assert expected is KeyboardInterrupt or "nothing was published" in str(caught.value)
        assert list_versions(tmp_path) == [older]
        assert list(layout.staging_dir(tmp_path).iterdir()) == []


@pytest.mark.parametrize(
    ("side", "column", "number", "reason"),
    [
        ("item_vectors", 0, 1e30, "1 of 400 item embeddings are longer than"),
        ("item_vectors", -1, -1e30, "1 of 400 item biases are longer than"),
        ("user_vectors", 0, 1e30, "1 of 30 user embeddings are longer than"),
        ("user_vectors", -1, 1e30, "1 of 30 user biases are longer than"),
        ("item_vectors", slice(None), 1e-25, "1 of 400 item embeddings are shorter than"),
    ],
)
def test_vectors_that_cannot_be_served_are_refused_before_anything_is_written(
    tmp_path, side, column, number, reason
):
    of = source()
    vectors = getattr(of.embeddings, side).copy()
    vectors[7, column] = number
    with pytest.raises(VectorError, match=reason):
        run(tmp_path, replace(of, embeddings=replace(of.embeddings, **{side: vectors})))
    assert list(tmp_path.iterdir()) == []


def test_user_features_that_cannot_be_served_are_refused_before_anything_is_written(tmp_path):
    vectors = cases.vectors(3, source().embeddings.components + 1, seed=5)
    vectors[1] = 1e20
    with pytest.raises(VectorError, match="1 of 3 user feature vectors are longer than"):
        run(tmp_path, source(user_features=UserFeatureVectors(["a:1", "a:2", "a:3"], vectors)))
    assert list(tmp_path.iterdir()) == []


def test_users_too_much_longer_than_items_are_published_without_what_folds_sessions_in(tmp_path):
    """What doesn't fit into a version isn't worth failing over, but is told."""
    of = source()
    items, users = of.embeddings.item_vectors, of.embeddings.user_vectors
    embeddings = Embeddings(items * np.float32(1e-12), users * np.float32(1e12))
    published = run(tmp_path, replace(of, embeddings=embeddings))
    assert open_publication(tmp_path, published.manifest.version).fold_in is None
    assert [one for one in published.warnings if one.startswith("sessions can't be answered")]
    warm_up(open_snapshot(tmp_path, published.manifest.version))


def test_a_name_that_is_no_unicode_is_published_as_one(tmp_path):
    """A file's name may be any bytes, a manifest's text may not."""
    of = source()
    of = replace(of, facts=replace(of.facts, name="items\udcff.npy"))
    assert verify(tmp_path, run(tmp_path, of).manifest.version).dataset.name == "items?.npy"


# ---- what the retriever makes of it


def held_out(items, users, *, each=3):
    """Items that the vectors say are good, so that finding them makes a difference."""
    of = source(items=items, users=users)
    scores = user_queries(of.embeddings.user_vectors) @ of.embeddings.item_vectors.T
    for user in range(users):
        scores[user, of.seen[user]] = -np.inf
    # Of the last few none.
    best_rows = [np.sort(best(own, 10)[:each]) for own in scores[: users - 2]]
    return replace(of, held_out=cases.rows([*best_rows, [], []]))


@pytest.mark.parametrize(
    ("items", "backend", "target"),
    [
        *[(6000, "annoy", 0.3), (6000, "faiss", 0.3), (6000, "nmslib", 0.3), (6000, "exact", 0.95)],
        # So few are scored whole, whatever their index.
        *[(400, "annoy", 0.3), (5, "annoy", 0.3)],
    ],
)
def test_the_precision_as_served_is_that_of_the_retrievers_own_answers(
    tmp_path, items, backend, target
):
    of = held_out(items, 40)
    assert len(of.seen[19]) or items < 20
    published = run(tmp_path, of, backends=backend, target_recall=target)
    metrics = published.manifest.metrics
    snapshot = open_snapshot(tmp_path, published.manifest.version)
    exactly = Options(search=Search(exact=True))
    for name, options in (
        ("test_precision_at_10_served", Options()),
        ("test_precision_at_10_exact", exactly),
    ):
        shares = [
            len(
                {*recommend(snapshot, of.users.external_id(user), options).rows.tolist()}
                & {*of.held_out[user].tolist()}
            )
            / 10
            for user in range(38)
        ]
        assert metrics[name] == pytest.approx(np.mean(shares), abs=1e-9)
    assert metrics["served_users"] == 38
    # By the index where that is quicker, if it gives enough, and then not everything is found.
    asked = {recommend(snapshot, of.users.external_id(user)).exact for user in range(38)}
    assert (False in asked) == (items == 6000 and backend != "exact")
    if False not in asked:
        assert metrics["test_precision_at_10_served"] == metrics["test_precision_at_10_exact"]
    elif backend == "annoy":
        assert metrics["test_precision_at_10_served"] < metrics["test_precision_at_10_exact"]


def test_exact_precision_is_that_of_the_evaluation(tmp_path):
    of = held_out(400, 40)
    expected = evaluate_vectors(of.embeddings, seen=of.seen, held_out=of.held_out)
    metrics = run(tmp_path, of, backends="annoy").manifest.metrics
    exact = metrics["test_precision_at_10_exact"]
    assert exact == pytest.approx(expected["test_precision_at_10_unseen"])
    # Of what was there before nothing is lost.
    of = replace(of, metrics={"test_auc": 0.5})
    assert run(tmp_path, of).manifest.metrics == {
        "test_auc": 0.5,
        "test_precision_at_10_served": exact,
        "test_precision_at_10_exact": exact,
        "served_users": 38,
    }


def test_of_many_users_some_are_asked_for_and_of_a_large_catalogue_fewer(tmp_path, monkeypatch):
    of = held_out(400, 40)
    monkeypatch.setattr("trainer.evaluation.served_precision.MAX_USERS", 20)
    assert run(tmp_path, of).manifest.metrics["served_users"] == 20
    monkeypatch.setattr("trainer.evaluation.served_precision._MIN_USERS", 5)
    monkeypatch.setattr("trainer.evaluation.served_precision._MAX_SCORES", 8 * 400)
    assert run(tmp_path, of).manifest.metrics["served_users"] == 8


def test_without_a_positive_that_was_held_out_nothing_is_said_of_what_is_served(tmp_path):
    for given in (None, cases.nothing(USERS)):
        assert run(tmp_path, source(held_out=given)).manifest.metrics == {}


def test_the_stages_have_their_seconds(tmp_path):
    published = run(tmp_path)
    assert list(published.seconds) == ["index", "publish", "verify"]
    # The manifest is written before the others have ended.
    assert list(published.manifest.run.seconds) == ["index"]


def test_the_versions_of_all_libraries_that_mattered_are_recorded(tmp_path):
    own = {"lightfm-retriever", "marisa-trie", "numpy"}
    for backends, libraries, expected in (
        ("exact", (), own),
        ("annoy", (), own | {"annoy"}),
        ("exact,annoy,faiss", ("scipy", "numpy"), own | {"annoy", "faiss-cpu", "scipy"}),
    ):
        recorded = run(
            tmp_path, source(items=50, libraries=libraries), backends=backends
        ).manifest.libraries
        assert recorded == {name: importlib.metadata.version(name) for name in expected}
        assert list(recorded) == sorted(recorded)


@pytest.mark.parametrize("backend", [name for name in NAMES if name != "exact"])
def test_the_seed_and_the_threads_of_a_build_are_recorded(tmp_path, backend):
    manifest = run(tmp_path, source(items=50), backends=backend, seed=7, threads=2).manifest
    for index in manifest.indexes.values():
        for build in (index.build, *(one.build for one in index.trials if one.backend == backend)):
            assert (build["seed"], build["threads"]) == (7, 2)
