"""A small model and a volume with a version of it, fitted once."""

import pytest

import lightfm_workbench as wb
from tests import datasets

FILMS = {
    "item_id": [f"i{item}" for item in range(datasets.ITEMS)],
    "title": [f"Film {item}" for item in range(datasets.ITEMS)],
    "genres": [datasets.GENRES[item % 3] for item in range(datasets.ITEMS)],
    "year": [1990 + item for item in range(datasets.ITEMS)],
}
LIGHTFM = {"components": 4, "epochs": 2, "seed": 1}


def columns(of=None):
    users, items, weights = zip(*(datasets.rows() if of is None else of), strict=True)
    return {"user_id": users, "item_id": items, "weight": weights}


@pytest.fixture(scope="session")
def data():
    return wb.read(columns(), items=FILMS, item_attributes=["genres", "year"])


@pytest.fixture(scope="session")
def model(data):
    return wb.fit(data, model="lightfm", split_share=0.25, **LIGHTFM)


@pytest.fixture(scope="session")
def published(model, tmp_path_factory):
    gates = wb.Gates(allow_unevaluated=True, min_auc=0.0)
    return model.publish(tmp_path_factory.mktemp("wb") / "volume", gates=gates, index_threads=1)


@pytest.fixture(scope="session")
def version(published):
    return published.volume.current()
