"""What a line of JSON asks for, and what is said of one that asks for nothing."""

from __future__ import annotations

import json
import re

import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever.cli.json_requests import JsonRequestError, read

DEEP = "[" * 100_000
# Of Python or of protobuf.
FOREIGN = re.compile(
    r"\b(dict|int|str|NoneType|unhashable|Message|Request|ParseError|char \d+|oneof)\b|recsys|\n"
)


def recommend(line):
    request = pb.RecommendRequest()
    read(line if isinstance(line, str) else json.dumps(line), request)
    return request


def similar(content):
    request = pb.SimilarItemsRequest()
    read(json.dumps(content), request)
    return request


def test_whole_numbers_are_ids_in_every_place():
    assert recommend({"user_id": 3}).user_id == "3"
    assert recommend({"userId": 3, "excludeItemIds": [50, "a"]}) == pb.RecommendRequest(
        user_id="3", exclude_item_ids=["50", "a"]
    )
    session = {"item_ids": [50, 181], "weights": [2, 1.5]}
    assert recommend({"session": session}).session == pb.WeightedItems(
        item_ids=["50", "181"], weights=[2, 1.5]
    )
    assert similar({"itemId": -7}).item_id == "-7"
    assert list(similar({"items": {"itemIds": [50]}}).items.item_ids) == ["50"]


def test_all_that_json_has_for_a_field_is_taken():
    request = recommend(
        {
            "userId": "3",
            "limit": "5",
            "excludeSeen": False,
            "returnAttributes": "title,genres",
            "returnAttributeNames": ["Brand"],
            "searchEffort": 2,
            "filter": {
                "conditions": [
                    {"attribute": "genres", "anyOf": {"values": ["Drama"]}},
                    {"attribute": "year", "range": {"min": 1990, "max": "Infinity"}},
                ]
            },
            "unknownIds": "UNKNOWN_IDS_IGNORE",
            "diversity": "0.5",
            "pageToken": None,
        }
    )
    assert (request.limit, request.exclude_seen, request.search_effort) == (5, False, 2.0)
    assert list(request.return_attributes.paths) == ["title", "genres"]
    assert list(request.return_attribute_names) == ["Brand"]
    assert request.filter.conditions[1].range.max == float("inf")
    assert (request.unknown_ids, request.diversity) == (pb.UNKNOWN_IDS_IGNORE, 0.5)
    assert recommend({"user_id": 3, "unknown_ids": 3, "limit": 5.0}).unknown_ids == 3
    assert list(recommend({"return_attributes": ["Brand"]}).return_attribute_names) == ["Brand"]


@pytest.mark.parametrize(
    ("content", "field", "text"),
    [
        ({"user_id": 3.5}, "user_id", "user_id should be an id: text such as '3', or a whole number"),
        ({"userId": True}, "user_id", "user_id should be an id"),
        ({"userId": {}}, "user_id", "user_id should be an id"),
        ({"session": ["50"]}, "session", 'session should be an object with "item_ids", such as {"item'),
        (
            {"session": {"itemIds": "50"}},
            "session.item_ids",
            'session.item_ids should be a list, such as ["50", "181"]',
        ),
        (
            {"session": {"item_ids": ["5", None]}},
            "session.item_ids[1]",
            "session.item_ids[1] should be",
        ),
        (
            {"session": {"item_ids": ["5"], "weights": ["x"]}},
            "session.weights[0]",
            "should be a number",
        ),
        (
            {"session": {"weights": [1e39]}},
            "session.weights[0]",
            "should be a number of at most 3.4e38",
        ),
        (
            {"filter": [{"attribute": "genres"}]},
            "filter",
            'filter should be an object with "conditions", such as {"conditions": [{"attribute": "genr',
        ),
        ({"filter": {"conditions": {}}}, "filter.conditions", "should be a list, such as [{"),
        (
            {"filter": {"conditions": [{"attribute": "genres", "any_of": ["Drama"]}]}},
            "filter.conditions[0].any_of",
            'any_of should be an object with "values", such as {"values": ["Drama", "War"]}',
        ),
        (
            {"filter": {"conditions": [{"allOf": {"values": [1990]}}]}},
            "filter.conditions[0].all_of.values[0]",
            "should be text in double quotes",
        ),
        (
            {"filter": {"conditions": [{"any_of": {}, "none_of": {}}]}},
            "filter.conditions[0]",
            "exactly one of any_of, all_of, none_of, range is needed, not any_of and none_of",
        ),
        (
            {"return_attribute_names": "title"},
            "return_attribute_names",
            'return_attribute_names should be a list, such as ["title"]',
        ),
        ({"return_attributes": [1]}, "return_attributes[0]", "return_attributes[0] should be text"),
        ({"return_attributes": 1}, "return_attributes", "return_attributes should be text"),
        (
            {"return_attributes": "a_b"},
            "return_attributes",
            'return_attributes should be a list, such as ["title"]',
        ),
        ({"limmit": 5}, "limmit", "there is no field 'limmit'; did you mean 'limit'?"),
        ({"excludeSean": 5}, "excludeSean", "did you mean 'exclude_seen'?"),
        ({"x\ny": 5}, "x\ny", r"there is no field 'x\ny'; there are user_id, session, features"),
        (
            {"session": {"items": ["5"]}},
            "session.items",
            "there is no field 'items' of session; did you mean 'item_ids'?",
        ),
        ({"limit": 5.5}, "limit", "limit should be a whole number, such as 10"),
        ({"limit": 2**31}, "limit", "limit should be a whole number, such as 10"),
        ({"limit": True}, "limit", "limit should be a whole number, such as 10"),
        ({"exact": 1}, "exact", "exact should be true or false"),
        ({"diversity": []}, "diversity", "diversity should be a number, such as 0.5"),
        ({"unknown_ids": "ignore"}, "unknown_ids", "unknown_ids should be one of UNKNOWN_IDS_UNSPEC"),
        ({"unknown_ids": [1]}, "unknown_ids", "unknown_ids should be one of UNKNOWN_IDS_UNSPEC"),
        ({"user_id": "3", "userId": "4"}, "user_id", "user_id is given twice"),
        (
            {"user_id": "3", "session": {"item_ids": ["5"]}},
            "session",
            "exactly one of user_id, session, features is needed, not user_id and session",
        ),
        ({"user_id": "\ud800"}, "user_id", "user_id should be text that UTF-8 can hold"),
        ([3], "", 'should be a JSON object with "user_id", such as {"user_id": "3"}'),
    ],
)
def test_a_field_is_named_with_what_it_should_be(content, field, text):
    with pytest.raises(JsonRequestError) as caught:
        recommend(content)
    assert caught.value.field == field
    assert text in str(caught.value)
    assert not FOREIGN.search(str(caught.value))


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("not json", "a value should begin at column 1"),
        ("{'user_id': 3}", "a field's name in double quotes should be at column 2"),
        ('{"user_id" 3}', "a colon should be at column 12"),
        ('{"user_id": 3', "a comma or the end should be at column 14"),
        ('{"user_id": "3}', "the text that begins at column 13 has no closing quote"),
        ('{"user_id": "\\x"}', "there is a backslash that begins no known character at column 14"),
        ('{"user_id": "\t"}', "there is a control character at column 14"),
        ('{"user_id": 3} 4', "there is more after its end, from column 16 on"),
        ("\ufeff{}", "there is a byte order mark at column 1"),
        (f'{{"user_id": {"9" * 5000}}}', "a number has too many digits"),
        (DEEP, "it is nested too deeply"),
    ],
)
def test_what_is_no_json_is_said_with_its_column(line, text):
    with pytest.raises(JsonRequestError) as caught:
        recommend(line)
    assert str(caught.value) == f"isn't JSON: {text}"
    assert caught.value.field == ""
