"""Segments divide users and items as their rules say."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from lightfm_retriever.publication.attributes import NumberColumn, TextColumn
from tests import datasets
from tests.unit.trainer.index import cases
from trainer.errors import OptionError
from trainer.evaluation import segments


def shown(found, by):
    """Rows of each value of a criterion."""
    parts = [own for own in found if own.by == by]
    assert all((own.users is None) != (own.items is None) for own in parts)
    return {
        own.value: np.flatnonzero(own.users if own.items is None else own.items).tolist()
        for own in parts
    }


def test_users_are_divided_by_the_number_of_items_they_have_seen():
    counts = [0, 1, 1, 2, 5, 6, 7, 20, 30]
    found = segments.usual(cases.rows([range(count) for count in counts]), np.ones(30, dtype=int))
    assert shown(found, "user_activity") == {"low": [1, 2, 3], "middle": [4, 5], "high": [6, 7, 8]}
    assert shown(found, "cold_users") == {"none": [0], "few": [1, 2, 3, 4]}
    rules = [own.rule for own in found if own.by == "user_activity"]
    assert rules == ["1 to 2 seen items", "3 to 6 seen items", "7 to 30 seen items"]
    # Where all users are alike there is one part.
    alike = segments.usual(cases.rows([[0], [1]]), np.array([1, 1]))
    assert shown(alike, "user_activity") == {"low": [0, 1]}
    assert shown(segments.usual(cases.nothing(2), np.zeros(2, dtype=int)), "user_activity") == {}


def test_items_are_divided_by_thirds_of_the_interactions():
    popularity = np.array([1, 6, 0, 3, 2, 9, 3, 3])
    found = segments.usual(cases.nothing(1), popularity)
    assert shown(found, "item_popularity") == {"head": [5], "middle": [1, 3], "tail": [0, 2, 4, 6, 7]}
    assert shown(found, "cold_items") == {"few": [0, 2, 3, 4, 6, 7]}
    only = segments.usual(cases.nothing(1), np.array([4]))
    assert shown(only, "item_popularity") == {"head": [0], "middle": [], "tail": []}


def test_items_are_divided_by_attributes_and_users_by_their_features():
    ages = datasets.table({f"u{user}": [f"age:{'old' if user % 3 else 'young'}"] for user in range(24)})
    dataset = datasets.dataset(split="random", users=ages)
    items = len(dataset.items)
    kinds = [["film"] if row % 2 else ["film", "play"] for row in range(items)]
    years = np.arange(items, dtype=float)
    years[3] = np.nan
    dataset = replace(dataset, attributes=[TextColumn("kind", kinds), NumberColumn("year", years)])
    found = segments.wanted(dataset, ["kind", "year", "age"])
    assert shown(found, "kind") == {"film": [*range(items)], "play": [*range(0, items, 2)]}
    by_year = shown(found, "year")
    assert sorted(itertools.chain(*by_year.values())) == [row for row in range(items) if row != 3]
    assert max(by_year["low"]) < min(by_year["middle"]) < min(by_year["high"])
    by_age = shown(found, "age")
    young = [row for row in range(24) if int(dataset.users.external_id(row)[1:]) % 3 == 0]
    assert by_age["young"] == young
    assert sorted(by_age["young"] + by_age["old"]) == [*range(24)]
    with pytest.raises(OptionError, match="there is kind, year, age"):
        segments.wanted(dataset, ["height"])


def test_only_the_commonest_values_are_measured():
    kinds = [[f"k{row % 30}", "all"] for row in range(100)]
    dataset = replace(datasets.dataset(split="random"), attributes=[TextColumn("kind", kinds)])
    found = segments.wanted(dataset, ["kind"])
    assert len(found) == segments.MOST_VALUES
    assert [own.value for own in found[:2]] == ["all", "k0"]
