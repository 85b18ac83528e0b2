"""Whatever is published, a retriever takes: it verifies, opens and warms it up, and gives numbers."""

import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.attributes import MAX_VALUE_BYTES, NumberColumn, TextColumn
from lightfm_retriever.publication.errors import PublicationError
from lightfm_retriever.publication.storage.id_map import MAX_ID_BYTES, IdMap
from lightfm_retriever.publication.verification import verify
from retriever.answering.questions import Options, Search, WeightedItems
from retriever.answering.snapshot import open_snapshot
from retriever.worker.warm_up import warm_up
from tests.retrievable import recommend, similar_items
from tests.unit.trainer.index import cases
from tests.unit.trainer.publishing.test_publish import FACTS, run
from trainer.fitting.embeddings import Embeddings, UserFeatureVectors
from trainer.index import make_backends
from trainer.publishing.publishable import Publishable

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
# What a careless reader mistakes, and the longest there is.
odd = st.sampled_from(["\0", "\n", " ", "..", "a/b", "é" * (MAX_ID_BYTES // 2), "x" * MAX_ID_BYTES])
ids = st.lists(texts | odd, min_size=1, max_size=12, unique=True)
# From far below what float32 can square to far above.
scales = st.sampled_from([0.0, 1e-38, 1e-25, 1e-15, 1e-9, 1e-3, 1.0, 1e3, 1e9, 1e14, 1e15, 1e18, 1e30])
usual = st.sampled_from([1e-12, 1e-3, 1.0, 1e3, 1e12])


@st.composite
def vectors(draw, count, dimensions):
    """Of one scale, but for one row or one column perhaps."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    made = random.normal(size=(count, dimensions)) * draw(usual)
    if count and draw(st.booleans()):
        made[draw(st.integers(0, count - 1))] *= draw(scales)
    if draw(st.booleans()):
        made[:, -1] = random.normal(size=count) * draw(scales)
    # Equal rows, too.
    if count > 1 and draw(st.booleans()):
        made[0] = made[1]
    with np.errstate(over="ignore"):
        return made.astype(np.float32)


@st.composite
def rows(draw, users, items, *, without=None):
    """For each user some items, perhaps all, ascending."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    share = draw(st.sampled_from([0.0, 0.2, 1.0]))
    chosen = []
    for user in range(users):
        own = np.flatnonzero(random.random(items) < share)
        chosen.append(own if without is None else np.setdiff1d(own, without[user]))
    return cases.rows(chosen)


@st.composite
def publishables(draw):
    items, users = draw(ids), draw(ids | st.just([]))
    width = draw(st.integers(1, 5)) + 1
    seen = draw(rows(len(users), len(items)))
    values = st.lists(texts | st.just("é" * (MAX_VALUE_BYTES // 2)), max_size=3)
    numbers = st.floats(allow_nan=True, allow_infinity=False)
    attributes = [
        TextColumn("tags", [draw(values) for _ in items]),
        NumberColumn("years", np.array([draw(numbers) for _ in items])),
    ]
    features = None
    if names := draw(st.lists(texts.map("a:{}".format), max_size=3, unique=True)):
        features = UserFeatureVectors(names, draw(vectors(len(names), width)))
    return Publishable(
        items=IdMap.build(items),
        users=IdMap.build(users),
        embeddings=Embeddings(draw(vectors(len(items), width)), draw(vectors(len(users), width))),
        seen=seen,
        held_out=draw(st.none() | rows(len(users), len(items), without=seen)),
        titles=draw(
            st.none() | st.lists(st.text(max_size=20), min_size=len(items), max_size=len(items))
        ),
        facts=replace(FACTS, name=draw(st.text(max_size=5))),
        user_features=features,
        attributes=draw(st.sampled_from([[], attributes, attributes[:1], attributes[1:]])),
    )


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(of=publishables(), backend=st.sampled_from(["annoy", "exact"]))
def test_whatever_is_published_is_served_and_whatever_is_refused_leaves_nothing(of, backend):
    with tempfile.TemporaryDirectory() as name:
        volume = Path(name)
        published = problem = None
        try:
            backends = make_backends(backend, trees=2 if backend == "annoy" else None)
            published = run(volume, of, backends=backends)
        except PublicationError as error:
            problem = str(error)
        if published is None:
            event("refused")
            # Told of what is the matter with the vectors, not of a file of the version.
            assert ".npy" not in problem
            assert [*volume.iterdir()] == []
            return
        event("published")
        version = published.manifest.version
        assert verify(volume, version) == published.manifest
        assert list(layout.staging_dir(volume).iterdir()) == []
        snapshot = open_snapshot(volume, version)
        warm_up(snapshot)
        options = [Options(), Options(search=Search(exact=True)), Options(search=Search(effort=1.0))]
        for how in options:
            for row in range(len(of.users)):
                answer = recommend(snapshot, of.users.external_id(row), how)
                assert np.isfinite(answer.scores).all()
                assert len(answer.rows) == min(10, len(of.items) - len(of.seen[row]))
            for row in range(len(of.items)):
                answer = similar_items(snapshot, of.items.external_id(row), how)
                assert np.isfinite(answer.scores).all()
                assert len(answer.rows) == min(10, len(of.items) - 1)
        if snapshot.publication.fold_in is not None:
            session = WeightedItems([of.items.external_id(0)])
            assert np.isfinite(recommend(snapshot, session).scores).all()
