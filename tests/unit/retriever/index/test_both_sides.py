"""The retriever searches as the trainer did when it measured: otherwise the recall that the manifest
states would be another index's."""

import itertools

import numpy as np
import pytest

from lightfm_retriever.publication import layout
from lightfm_retriever.publication.search_effort import candidates_for
from tests.unit.retriever.index import asking
from tests.unit.retriever.index.asking import NAMES

CASES = [
    *(("annoy", name, {"trees": trees}) for name in NAMES for trees in (3, 10, 30)),
    *(("faiss", name, {"codes": codes}) for name in NAMES for codes in ("SQ8", "SQfp16")),
    ("faiss", layout.RECOMMEND, {"lists": 1}),
    ("nmslib", layout.SIMILAR, {}),
    ("nmslib", layout.RECOMMEND, {"metric": "negdotprod"}),
    ("nmslib", layout.RECOMMEND, {"metric": "cosinesimil"}),
    ("nmslib", layout.RECOMMEND, {"metric": "cosinesimil", "M": 32, "efConstruction": 400}),
]
COUNTS = [1, 9, 10, 11, 30, 31, 100, 999, 1000]


@pytest.fixture(
    scope="module", params=CASES, ids=lambda case: "-".join(map(str, (*case[:2], *case[2].values())))
)
def of(request, tmp_path_factory):
    backend, name, build = request.param
    return asking.Built(tmp_path_factory.mktemp("index") / "files", name, backend, build=build)


def test_the_same_rows_are_found_for_the_same_file_count_and_effort(of):
    """A factor of the effort is the trainer's effort multiplied."""
    found_as_tuned = []
    # From the least to the most that is of any use, and what is between.
    least, most = of.index.effort.least, of.index.effort.most
    for effort in sorted({least, *np.geomspace(least, most, 5).astype(int).tolist(), most}):
        index = of.at(effort)
        assert index.candidates == of.index.candidates
        ten = candidates_for(10, index.candidates, 0)
        asked = [
            *((count, 1.0) for count in COUNTS),
            *((ten, factor) for factor in (0.1, 0.5, 2.0, 10)),
        ]
        for (count, factor), query in itertools.product(asked, of.queries[:4]):
            theirs = of.index.index.search(query, count, max(1, round(effort * factor)))
            assert sorted(index.search(query, count, factor)) == sorted(theirs)
        found_as_tuned.append([{*index.search(query, ten).tolist()} for query in of.queries])
    # Else one that ignores the effort would be as good.
    assert len(found_as_tuned) == 1 or found_as_tuned[0] != found_as_tuned[-1]
