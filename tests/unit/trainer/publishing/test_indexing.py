"""Which index is chosen, what is told of it, and that it is measured as it is asked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.reader import list_versions
from lightfm_retriever.publication.vectors.ranking import best
from lightfm_retriever.publication.verification import verify
from retriever.answering.queries import recommend, similar_items
from retriever.answering.questions import Options, Search
from retriever.answering.search import IndexCosts
from retriever.answering.snapshot import open_snapshot
from tests.unit.trainer.publishing.test_publish import USERS, run, source
from trainer.errors import RecallError
from trainer.index import NAMES, installed, make_backends
from trainer.index.measure import Questions
from trainer.index.protocol import IndexTask
from trainer.publishing.publish import questions

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
        if self.name == "poor":
            return np.zeros(0, dtype=np.int64)
        for _ in range(9):
            self.index.search(query, count, effort)
        return self.index.search(query, count, effort)


POOR = Own("poor")


def test_where_too_little_is_found_exact_search_stands_in_and_that_is_a_warning(tmp_path):
    published = run(tmp_path, backends=[POOR])
    for (name, facts), warning in zip(
        published.manifest.indexes.items(), published.warnings, strict=True
    ):
        assert (facts.backend, facts.recall_at_10, facts.target_recall) == ("exact", 1.0, 0.95)
        assert facts.file is None
        assert {trial.backend for trial in facts.trials} == {"exact", "poor"}
        assert warning == (
            f"index {name!r}: poor reaches recall@10 0.0000 at best, below the target of 0.95, so "
            f"exact search is used: recall@10 1.0000 by exact in {facts.query_microseconds:.0f} µs"
        )


def test_where_exact_search_takes_long_another_backend_stands_in_which_retrievers_need(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("trainer.index.tuning._AT_ONCE_MICROSECONDS", 0)
    monkeypatch.setattr("trainer.publishing.publish.stand_ins", lambda _: make_backends("annoy"))
    ask = Questions.ask

    def slowly(questions, built, effort):
        """Where exact search takes a second: how long it does here is the machine's."""
        found = ask(questions, built, effort)
        return found if built.has_file else replace(found, query_microseconds=1e6)

    monkeypatch.setattr(Questions, "ask", slowly)
    published = run(tmp_path, backends=[POOR], target_recall=0.1)
    facts, warning = published.manifest.indexes["recommend"], published.warnings[1]
    assert (facts.backend, facts.recall_at_10 >= 0.1) == ("annoy", True)
    assert verify(tmp_path, published.manifest.version).files.keys() >= {"recommend.annoy"}
    assert warning.startswith("index 'recommend': poor reaches recall@10 0.0000 at best, below the")
    assert " target of 0.1, so annoy is used: recall@10 " in warning
    assert warning.endswith("; retrievers need annoy for it")
    # Whose release is told, too.
    assert "annoy" in published.manifest.libraries


def test_where_nothing_may_stand_in_what_is_published_and_that_is_a_warning(tmp_path, monkeypatch):
    for name in ("_AT_ONCE_MICROSECONDS", "_FELT_MICROSECONDS", "_WORTH_MISSING"):
        monkeypatch.setattr(f"trainer.index.tuning.{name}", 0)
    monkeypatch.setattr("trainer.publishing.publish.stand_ins", lambda _: [])
    published = run(tmp_path, backends=[POOR])
    assert published.manifest.indexes["similar"].recall_at_10 == 0
    for name, warning in zip(("similar", "recommend"), published.warnings, strict=True):
        assert f"index {name!r} reaches recall@10 0.0000 by poor in " in warning
        assert "below the target of 0.95: exact search, which finds all, takes " in warning
        assert warning.endswith("µs (--backend exact)")


def test_too_little_found_is_an_error_where_that_is_asked_for_and_nothing_is_published(tmp_path):
    published = run(tmp_path, backends=[POOR, EXACT], strict=True, target_recall=1.0)
    assert {index.backend for index in published.manifest.indexes.values()} == {"exact"}
    assert not any("below the target" in warning for warning in published.warnings)
    with pytest.raises(RecallError) as caught:
        run(tmp_path, backends=[POOR], strict=True, target_recall=0.5)
    assert (caught.value.index, caught.value.target, caught.value.reached) == ("similar", 0.5, 0.0)
    message = str(caught.value)
    start = "index 'similar' reaches recall@10 0.0000 by poor, below the target of 0.5"
    assert message.startswith(start)
    for said in ("nothing was published", "--target-recall", "--backend auto", "--strict-recall"):
        assert said in message
    assert list_versions(tmp_path) == [published.manifest.version]
    assert list(layout.staging_dir(tmp_path).iterdir()) == []


def test_a_catalogue_that_needs_no_index_is_a_warning(tmp_path):
    warnings = run(tmp_path, backends=[Own("slow")]).warnings
    for name, warning in zip(("similar", "recommend"), warnings, strict=True):
        assert warning.startswith(f"index {name!r}: exact search takes ")
        assert warning.endswith("a catalogue of this size needs no index (--backend auto)")
    assert run(tmp_path, backends="exact").warnings == []


def test_without_users_items_are_asked_for_what_is_like_them(tmp_path):
    for backend in installed():
        published = run(tmp_path, source(items=200, users=0), backends=[backend])
        assert published.manifest.indexes["recommend"].recall_at_10 >= 0.95
        assert published.warnings[-1] == (
            "index 'recommend' was measured with items as queries, since there is no user"
        )


@pytest.mark.parametrize("backend", NAMES)
def test_what_was_measured_is_what_is_served(tmp_path, monkeypatch, backend):
    """The retriever's own answers to the same questions have the recall of the manifest."""
    monkeypatch.setattr("trainer.index.measure._SECONDS", 60.0)  # all questions, on any machine
    of = source(items=2000)
    published = run(tmp_path, of, backends=backend, target_recall=0.8)
    snapshot = open_snapshot(tmp_path, published.manifest.version)
    # As in a catalogue that takes too long to be scored whole.
    free = {
        name: replace(getattr(snapshot, name), costs=IndexCosts(0, 0))
        for name in ("similar", "recommend")
    }
    snapshot = replace(snapshot, **free)
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
        assert facts.recall_at_10 < 1 or backend in ("exact", "nmslib")


def test_questions_are_those_that_the_retriever_is_asked():
    """What is similar to each item but itself; what each user hasn't seen."""
    of = source(items=50, users=20)
    asked, queries = [], []

    class Recorder:
        def __init__(self, vectors, cosine):
            self.vectors, self.cosine = vectors.astype(np.float64), cosine

        def search(self, query, count, *_):
            asked.append(count)
            queries.append(query)
            norms = np.linalg.norm(self.vectors, axis=1) if self.cosine else 1
            return best(self.vectors @ query / norms, count)

    embeddings = of.embeddings
    for name, vectors, excluded in (
        ("similar", embeddings.item_embeddings, [1] * 50),
        ("recommend", embeddings.item_vectors, [len(of.seen[user]) for user in range(20)]),
    ):
        asked.clear()
        queries.clear()
        space = "cosine" if name == "similar" else "inner_product"
        built = EXACT.build(IndexTask(vectors, space, None, {}, seed=1))
        built = replace(built, index=Recorder(vectors, name == "similar"))
        found = questions(name, embeddings, of.seen, seed=1).ask(built, 0)
        assert found.recall == 1.0
        assert sorted(asked) == sorted(10 + number for number in excluded)
    # Users with one in the place of their bias.
    users = embeddings.user_vectors[:, :-1]
    assert {*map(tuple, np.array(queries).tolist())} == {(*map(float, own), 1.0) for own in users}
