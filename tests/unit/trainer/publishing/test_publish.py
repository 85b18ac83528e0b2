"""From embeddings to a publication, whatever model they are of."""

import importlib.metadata
import re
from dataclasses import replace
from operator import attrgetter

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import NumberColumn, TextColumn
from lightfm_retriever.publication.errors import InvalidPublicationError, VectorError, VolumeError
from lightfm_retriever.publication.reader import list_versions, open_publication
from lightfm_retriever.publication.search_effort import IndexCosts
from lightfm_retriever.publication.storage.id_map import IdMap
from lightfm_retriever.publication.vectors.fold_in import FoldIn
from lightfm_retriever.publication.vectors.vector_space import best, user_queries
from lightfm_retriever.publication.verification import verify
from retriever.answering.questions import Options, Search
from retriever.answering.snapshot import open_snapshot
from retriever.worker.warm_up import warm_up
from tests import publications
from tests.measured_vectors import evaluate_vectors
from tests.retrievable import recommend, similar_items
from tests.unit.trainer.index import cases
from trainer.errors import RecallError
from trainer.evaluation import measures
from trainer.fitting.embeddings import Embeddings, UserFeatureVectors
from trainer.index import NAMES, make_backends
from trainer.index.measure import Questions
from trainer.index.tuning import TuningOptions
from trainer.progress import Silent
from trainer.publishing.publish import Indexing, publish
from trainer.publishing.publishable import Publishable
from trainer.timings import Timings

ITEMS, USERS = 400, 30
FACTS = publications.facts().dataset


def source(*, items=ITEMS, users=USERS, **changes):
    random = np.random.default_rng(1)
    vectors = cases.uneven(items)
    seen = (random.choice(items, user % 20 if items > 20 else 0, False) for user in range(users))
    made = Publishable(
        items=IdMap.build([f"i{row}" for row in range(items)]),
        users=IdMap.build([f"u{row}" for row in range(users)]),
        embeddings=Embeddings(vectors, cases.vectors(max(1, users), seed=2)[:users]),
        seen=cases.rows(map(np.sort, seen)),
        facts=FACTS,
    )
    return replace(made, **changes)


def run(volume, of=None, *, backends="exact", **options):
    made = make_backends(backends) if isinstance(backends, str) else backends
    return publish(
        of or source(),
        volume,
        indexing=Indexing(backends=made, options=TuningOptions(**{"seed": 1, "threads": 1, **options})),
        timings=Timings(),
        reporter=Silent(),
    )


def opened_of(volume, of, **options):
    version = run(volume, of, **options).manifest.version
    verify(volume, version)
    return open_publication(volume, version)


@pytest.mark.parametrize("backend", [*NAMES, "auto", "annoy,exact,faiss,nmslib"])
def test_what_is_published_are_the_contracts_files_and_the_chosen_indexes(tmp_path, backend):
    published = run(tmp_path, source(items=100), backends=backend, seed=7, threads=2)
    manifest = verify(tmp_path, published.manifest.version)
    assert manifest == published.manifest
    assert manifest.metrics == {}
    # The manifest is written before the other stages have ended.
    assert (list(published.seconds), list(manifest.run.seconds)) == (
        ["index", "publish", "verify"],
        ["index"],
    )
    expected = {*layout.REQUIRED_FILES["vectors"], layout.ITEM_NORMS, layout.ID_RANKS, layout.FOLD_IN}
    expected |= {layout.POPULARITY, layout.POPULAR_ITEMS}
    choice = ("backend", "build", "query", "recall_at_10", "query_microseconds")
    for name, facts in manifest.indexes.items():
        assert facts.backend in {one.name for one in make_backends(backend)}
        exact = facts.backend == "exact"
        assert facts.file == (None if exact else f"{name}.{facts.backend}")
        expected |= set() if exact else {facts.file}
        assert facts.trials[0].backend == "exact"
        assert attrgetter(*choice)(facts) in map(attrgetter(*choice), facts.trials)
        for one in facts.trials:
            assert one.backend == "exact" or (one.build["seed"], one.build["threads"]) == (7, 2)
    directory = layout.version_dir(tmp_path, manifest.version)
    # What was tried and not chosen is gone, and where it lay.
    assert {path.name for path in directory.iterdir()} == expected | {layout.MANIFEST}
    assert manifest.files.keys() == expected
    assert list(layout.staging_dir(tmp_path).iterdir()) == []


def test_what_belongs_to_rows_is_read_back(tmp_path):
    names = ["country:DE", "age:25-34", "sex:ő"]
    vectors = cases.vectors(3, source().embeddings.components + 1, seed=5)
    rows = range(ITEMS)
    tags = [[f"t{row % 3}", "映画"][: row % 3] for row in rows]
    years = np.array([np.nan if row % 7 == 0 else 1990 + row % 5 for row in rows])
    of = source(
        held_out=cases.rows([[user, user + 7] for user in range(USERS)]),
        titles=[f"Title {row} – 映画" for row in rows],
        user_features=UserFeatureVectors(names, vectors),
        attributes=[
            TextColumn("tags", tags),
            NumberColumn("year", years),
            TextColumn("none", [[]] * ITEMS),
        ],
        # A file's name may be any bytes, a manifest's text may not.
        facts=replace(FACTS, name="items\udcff.npy"),
    )
    opened = opened_of(tmp_path, of)
    assert opened.manifest.dataset.name == "items?.npy"
    np.testing.assert_array_equal(opened.item_vectors, of.embeddings.item_vectors)
    np.testing.assert_array_equal(opened.user_vectors, of.embeddings.user_vectors)
    exactly = of.embeddings.item_vectors[:, :-1].astype(np.float64)
    np.testing.assert_allclose(opened.item_norms, np.linalg.norm(exactly, axis=1), rtol=1e-6)
    for user in range(USERS):
        assert opened.seen[user].tolist() == of.seen[user].tolist()
        assert opened.held_out[user].tolist() == [user, user + 7]
    assert len(opened.user_features) == 3
    for name, vector in zip(names, vectors, strict=True):
        own = opened.user_feature_vectors[opened.user_features.row(name)]
        np.testing.assert_array_equal(own, vector)
    kinds = [(own.name, own.kind) for own in opened.manifest.attributes]
    assert kinds == [("tags", "text"), ("year", "number"), ("none", "text")]
    attributes = opened.attributes
    for row in rows:
        assert bytes(opened.titles[row]).decode() == f"Title {row} – 映画"
        assert (attributes.texts(0, row), attributes.texts(2, row)) == (sorted(tags[row]), [])
        assert attributes.number(1, row) == (None if row % 7 == 0 else years[row])
    found = attributes.items_with(attributes.token(0, "映画")).tolist()
    assert found == [row for row in rows if "映画" in tags[row]]


@pytest.mark.parametrize("popularity", [None, np.random.default_rng(3).integers(0, 5, ITEMS)])
def test_what_ranks_breaks_ties_and_folds_in_is_read_back(tmp_path, popularity):
    of = source(popularity=None if popularity is None else popularity.astype(np.int32))
    opened = opened_of(tmp_path, of)
    ids = [of.items.external_id(row).encode() for row in range(ITEMS)]
    assert [ids[row] for row in np.argsort(opened.id_ranks)] == sorted(ids)
    # By default those who have seen an item make it popular.
    expected = np.bincount(of.seen.values, minlength=ITEMS) if popularity is None else popularity
    np.testing.assert_array_equal(opened.popularity, expected)
    assert len({*expected.tolist()}) < ITEMS
    best_first = sorted(range(ITEMS), key=lambda row: (-expected[row], ids[row]))
    assert opened.popular_items.tolist() == best_first
    vectors = of.embeddings
    made = FoldIn.build(vectors.item_vectors, vectors.user_vectors, of.seen, seed=1)
    np.testing.assert_array_equal(opened.fold_in, made.array)
    assert opened.user_features is opened.user_feature_vectors is opened.attributes is None
    assert opened.held_out is opened.titles is None


def test_where_nobody_can_be_folded_in_there_is_no_file_of_it_and_a_warning(tmp_path, monkeypatch):
    of = source()
    items, users = of.embeddings.item_vectors, of.embeddings.user_vectors
    # Users too much longer than items.
    long = Embeddings(items * np.float32(1e-12), users * np.float32(1e12))
    published = [run(tmp_path, replace(of, embeddings=long))]
    # As of numbers that float32 can't hold.
    monkeypatch.setattr(FoldIn, "build", lambda *_, **__: None)
    published.append(run(tmp_path))
    for own in published:
        version = verify(tmp_path, own.manifest.version).version
        assert open_publication(tmp_path, version).fold_in is None
        assert [one for one in own.warnings if one.startswith("this version can't answer sessions")]
        warm_up(open_snapshot(tmp_path, version))


def test_the_versions_of_all_libraries_that_mattered_are_recorded(tmp_path):
    own = {"lightfm-retriever", "marisa-trie", "numpy"}
    of = source(items=50, libraries=("scipy", "numpy"))
    recorded = run(tmp_path, of, backends="exact,annoy,faiss").manifest.libraries
    names = sorted([*own, "annoy", "faiss-cpu", "scipy"])
    assert [*recorded.items()] == [(name, importlib.metadata.version(name)) for name in names]
    assert run(tmp_path, of=source(items=50)).manifest.libraries.keys() == own


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (InvalidPublicationError("fold_in.npy", "row 4 is odd"), InvalidPublicationError),
        (OSError(28, "No space left on device"), VolumeError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
)
def test_only_what_verifies_appears(tmp_path, monkeypatch, problem, expected):
    older = run(tmp_path).manifest.version

    def fails(directory, version):
        assert layout.is_version_name(version)
        # All is there, but where nobody looks.
        assert {path.name for path in directory.iterdir()} >= {layout.MANIFEST, layout.ITEM_VECTORS}
        assert list_versions(tmp_path) == [older]
        raise problem

    monkeypatch.setattr("lightfm_retriever.publication.verification.verify_directory", fails)
    with pytest.raises(expected) as caught:
        run(tmp_path, source(users=USERS - 1))
    assert expected is KeyboardInterrupt or "nothing was published" in str(caught.value)
    assert list_versions(tmp_path) == [older]
    assert list(layout.staging_dir(tmp_path).iterdir()) == []


def test_vectors_that_cannot_be_served_are_refused_before_anything_is_written(tmp_path):
    of = source()
    vectors = of.embeddings.user_vectors.copy()
    vectors[7, -1] = 1e30
    features = UserFeatureVectors([f"a:{row}" for row in range(len(vectors))], vectors)
    own = replace(of.embeddings, user_vectors=vectors)
    cases_of = {"biases": {"embeddings": own}, "feature vectors": {"user_features": features}}
    for what, changes in cases_of.items():
        with pytest.raises(VectorError, match=f"1 of 30 user {what} are longer than"):
            run(tmp_path, replace(of, **changes))
    assert list(tmp_path.iterdir()) == []


[EXACT] = make_backends("exact")


class Own:
    """An index of ours: one that finds nothing, or one that finds all but takes long."""

    distribution = None

    def __init__(self, name):
        self.name = name

    def rounds(self, *_):
        return [[{"of": 1}], [{"of": 2}]]

    def build(self, task):
        task.path.write_bytes(b"own")
        built = EXACT.build(task)
        self.index = built.index
        return replace(built, build=dict(task.settings), has_file=True, index=self)

    def search(self, query, count, effort, relative=1.0):  # noqa: ARG002
        for _ in range(9):
            found = self.index.search(query, count, effort)
        return found[:0] if self.name == "poor" else found


POOR = Own("poor")


def test_where_too_little_is_found_exact_search_stands_in_and_that_is_a_warning(tmp_path):
    published = run(tmp_path, backends=[POOR])
    indexes = published.manifest.indexes
    for (name, facts), warning in zip(indexes.items(), published.warnings, strict=True):
        assert (facts.backend, facts.recall_at_10, facts.target_recall) == ("exact", 1.0, 0.95)
        assert facts.file is None
        assert {trial.backend for trial in facts.trials} == {"exact", "poor"}
        assert warning == (
            f"index {name!r}: poor reaches recall@10 0.0000 at best, below the target of 0.95, so "
            f"exact search is used: recall@10 1.0000 by exact in {facts.query_microseconds:.0f} µs"
        )


def test_where_exact_search_takes_long_a_backend_that_retrievers_need_stands_in(tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.index.tuning._AT_ONCE_MICROSECONDS", 0)
    monkeypatch.setattr("trainer.publishing.publish.stand_ins", lambda _: make_backends("annoy"))
    ask = Questions.ask

    def slowly(questions, built, *how, **by_name):
        """Where exact search takes a second: how long it does here is the machine's."""
        found = ask(questions, built, *how, **by_name)
        return found if built.has_file else replace(found, query_microseconds=1e6)

    monkeypatch.setattr(Questions, "ask", slowly)
    published = run(tmp_path, backends=[POOR], target_recall=0.1)
    facts, warning = published.manifest.indexes["recommend"], published.warnings[1]
    assert (facts.backend, facts.recall_at_10 >= 0.1) == ("annoy", True)
    assert verify(tmp_path, published.manifest.version).files.keys() >= {"recommend.annoy"}
    said = "poor .* 0.0000 at best, below the target of 0.1, so annoy is used: recall@10 .* µs"
    assert re.fullmatch(f"index 'recommend': {said}; retrievers need annoy for it", warning)
    # Whose release is told, too.
    assert "annoy" in published.manifest.libraries


def test_where_nothing_may_stand_in_what_is_published_and_that_is_a_warning(tmp_path, monkeypatch):
    for name in ("tuning._AT_ONCE_MICROSECONDS", "ways.FELT_MICROSECONDS", "ways.WORTH_MISSING"):
        monkeypatch.setattr(f"trainer.index.{name}", 0)
    monkeypatch.setattr("trainer.publishing.publish.stand_ins", lambda _: [])
    published = run(tmp_path, backends=[POOR])
    assert published.manifest.indexes["similar"].recall_at_10 == 0
    said = "below the target of 0.95: exact search finds all and takes .*µs .--backend exact.$"
    for name, warning in zip(("similar", "recommend"), published.warnings, strict=True):
        assert re.search(f"index {name!r} reaches recall@10 0.0000 by poor in .*{said}", warning)


def test_too_little_found_is_an_error_where_that_is_asked_for_and_nothing_is_published(tmp_path):
    published = run(tmp_path, backends=[POOR, EXACT], strict=True, target_recall=1.0)
    assert {index.backend for index in published.manifest.indexes.values()} == {"exact"}
    assert not any("below the target" in warning for warning in published.warnings)
    with pytest.raises(RecallError) as caught:
        run(tmp_path, backends=[POOR], strict=True, target_recall=0.5)
    assert (caught.value.index, caught.value.target, caught.value.reached) == ("similar", 0.5, 0.0)
    assert "nothing was published" in str(caught.value)
    assert list_versions(tmp_path) == [published.manifest.version]
    assert list(layout.staging_dir(tmp_path).iterdir()) == []


def test_a_catalogue_that_needs_no_index_is_a_warning(tmp_path):
    warnings = run(tmp_path, backends=[Own("slow")]).warnings
    said = "exact search takes .*a catalogue of this size needs no index .--backend auto."
    for name, warning in zip(("similar", "recommend"), warnings, strict=True):
        assert re.fullmatch(f"index {name!r}: {said}", warning)
    assert run(tmp_path, backends="exact").warnings == []


def test_without_users_items_are_asked_for_what_is_like_them_and_all_are_as_popular(tmp_path):
    published = run(tmp_path, source(items=200, users=0), backends="annoy")
    assert published.manifest.indexes["recommend"].recall_at_10 >= 0.95
    assert published.warnings[-1] == (
        "index 'recommend' was measured with items as queries, since there are no users"
    )
    opened = open_publication(tmp_path, published.manifest.version)
    assert opened.fold_in is not None
    assert not opened.popularity.any()
    assert opened.id_ranks[opened.popular_items].tolist() == [*range(200)]


@pytest.mark.parametrize("backend", [name for name in NAMES if name != "exact"])
def test_what_was_measured_is_what_is_served(tmp_path, monkeypatch, backend):
    """The retriever's own answers to the same questions have the recall of the manifest."""
    monkeypatch.setattr("trainer.index.measure._SECONDS", 60.0)  # all questions, on any machine
    of = source(items=2000)
    published = run(tmp_path, of, backends=backend, target_recall=0.8)
    snapshot = open_snapshot(tmp_path, published.manifest.version)
    # As in a catalogue that takes too long to be scored whole.
    free = IndexCosts(0, 0)
    model = snapshot.model
    similar, for_users = (replace(of, costs=free) for of in (model.similar, model.recommend))
    snapshot = replace(snapshot, model=replace(model, similar=similar, recommend=for_users))
    for name, ask, ids, total in (
        ("similar", similar_items, of.items, 1000),
        ("recommend", recommend, of.users, USERS),
    ):
        facts = published.manifest.indexes[name]
        found = 0
        for row in np.random.default_rng(1).permutation(len(ids))[:total].tolist():
            external_id = ids.external_id(row)
            answer = ask(snapshot, external_id)
            exact = ask(snapshot, external_id, Options(search=Search(exact=True)))
            assert len(answer.rows) == len(exact.rows) == 10
            # The same items, and not items of about the same score: norms and directions are random.
            found += len({*answer.rows.tolist()} & {*exact.rows.tolist()})
        assert facts.recall_at_10 == pytest.approx(found / (10 * total), abs=2e-3)
        assert facts.recall_at_10 >= 0.8
        assert facts.recall_at_10 < 1 or backend == "nmslib"


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
    ("items", "backend"),
    # So few as 400 are scored whole, whatever their index.
    [(6000, "annoy"), (6000, "exact"), (400, "annoy"), (5, "annoy")],
)
def test_the_precision_as_served_is_that_of_the_retrievers_own_answers(tmp_path, items, backend):
    of = held_out(items, 40)
    assert len(of.seen[19]) or items < 20
    manifest = run(tmp_path, of, backends=backend, target_recall=0.3).manifest
    snapshot = open_snapshot(tmp_path, manifest.version)
    metrics = manifest.metrics
    served, exactly = (metrics[f"test_precision_at_10_{name}"] for name in ("served", "exact"))
    asked = set()
    for expected, options in ((served, Options()), (exactly, Options(search=Search(exact=True)))):
        shares = []
        for user in range(38):
            answer = recommend(snapshot, of.users.external_id(user), options)
            shares.append(len({*answer.rows.tolist()} & {*of.held_out[user].tolist()}) / 10)
            asked |= {answer.exact} if expected is served else set()
        assert expected == pytest.approx(np.mean(shares), abs=1e-9)
    assert metrics["served_users"] == 38
    # By the index where that is quicker, if it gives enough, and then not everything is found.
    assert (False in asked) == (items == 6000 and backend != "exact")
    assert served < exactly if False in asked else served == exactly


def test_exact_precision_is_that_of_the_evaluation_of_some_of_many_users(tmp_path, monkeypatch):
    of = held_out(ITEMS, 40)
    expected = evaluate_vectors(of.embeddings, seen=of.seen, held_out=of.held_out)
    # Of what was there before nothing is lost.
    metrics = run(tmp_path, replace(of, metrics={"test_auc": 0.5})).manifest.metrics
    names = [name for name in expected if name.endswith("_at_10_unseen")]
    assert len(names) == len(measures.RANKED) + len(measures.LISTED) + 2
    both = {
        name.replace("unseen", kind): pytest.approx(expected[name])
        for name in names
        for kind in ("served", "exact")
    }
    assert metrics == {"test_auc": 0.5, **both, "served_users": 38}
    monkeypatch.setattr("trainer.evaluation.of_vectors.MAX_SERVED_USERS", 20)
    assert run(tmp_path, of).manifest.metrics["served_users"] == 20
    # Of a large catalogue fewer.
    monkeypatch.setattr("trainer.evaluation.of_vectors._MIN_USERS", 5)
    monkeypatch.setattr("trainer.evaluation.of_vectors._MAX_SCORES", 8 * ITEMS)
    assert run(tmp_path, of).manifest.metrics["served_users"] == 8
    assert run(tmp_path, source(held_out=cases.nothing(USERS))).manifest.metrics == {}
