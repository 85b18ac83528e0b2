"""What a line of JSON asks for, and what is said of one that asks for nothing."""

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
FIRST = "filter.conditions[0]"


def of(*conditions):
    return {"filter": {"conditions": conditions}}


def recommend(line):
    request = pb.RecommendRequest()
    read(line if isinstance(line, str) else json.dumps(line), request)
    return request


def test_all_that_json_has_for_a_field_is_taken():
    # Whole numbers are ids in every place.
    made = recommend({"userId": 3, "excludeItemIds": [50, "a"]})
    assert made == pb.RecommendRequest(user_id="3", exclude_item_ids=["50", "a"])
    for name in ("item_ids", "itemIds"):
        session = recommend({"session": {name: [50, 181], "weights": [2, 1.5]}}).session
        assert session == pb.WeightedItems(item_ids=["50", "181"], weights=[2, 1.5])
    request = pb.SimilarItemsRequest()
    read('{"itemId": -7}', request)
    assert request.item_id == "-7"
    texts = {"attribute": "genres", "anyOf": {"values": ["Drama"]}}
    years = {"attribute": "year", "range": {"min": 1990, "max": "Infinity"}}
    content = {"userId": "3", "limit": "5", "excludeSeen": False, "pageToken": None, "diversity": "0.5"}
    content |= {"returnAttributes": "title,genres", "returnAttributeNames": ["Brand"]}
    content |= {"searchEffort": 2, "unknownIds": "UNKNOWN_IDS_IGNORE", **of(texts, years)}
    genres = pb.Condition(attribute="genres", any_of=pb.Values(values=["Drama"]))
    year = pb.Condition(attribute="year", range=pb.Range(min=1990, max=float("inf")))
    assert recommend(content) == pb.RecommendRequest(
        user_id="3",
        limit=5,
        exclude_seen=False,
        search_effort=2,
        diversity=0.5,
        return_attributes={"paths": ["title", "genres"]},
        return_attribute_names=["Brand"],
        filter={"conditions": [genres, year]},
        unknown_ids=pb.UNKNOWN_IDS_IGNORE,
    )
    request = recommend({"unknown_ids": 3, "limit": 5.0, "return_attributes": ["Brand"]})
    assert (request.unknown_ids, request.limit) == (3, 5)
    assert list(request.return_attribute_names) == ["Brand"]
    for value, expected in (("NaN", "nan"), ("-Infinity", "-inf")):
        assert str(recommend({"diversity": value}).diversity) == expected


CONDITION = '{"attribute": "genres", "any_of": {"values": ["Drama"]}}'
IDS = 'a list, such as ["50", "181"]'
SHOULD_BE = [
    ({"user_id": 3.5}, "user_id", "an id: text such as '3', or a whole number such as 3"),
    ({"user_id": "\ud800"}, "user_id", "text that UTF-8 can hold"),
    ({"session": ["50"]}, "session", 'an object with "item_ids", such as {"item_ids": ["50", "181"]}'),
    ({"session": {"itemIds": "50"}}, "session.item_ids", IDS),
    ({"session": {"item_ids": ["5", None]}}, "session.item_ids[1]", "an id"),
    ({"session": {"weights": 5}}, "session.weights", "a list, such as [2.0, 1.0]"),
    ({"session": {"weights": [1e39]}}, "session.weights[0]", "a number of at most 3.4e38"),
    ({"features": ["a:1"]}, "features", 'an object with "features", such as {"features": ["age:2'),
    ({"filter": [{}]}, "filter", f'an object with "conditions", such as {{"conditions": [{CONDITION}'),
    ({"filter": {"conditions": {}}}, "filter.conditions", f"a list, such as [{CONDITION}]"),
    (of(5), "filter.conditions[0]", f'an object with "attribute" and a test, such as {CONDITION}'),
    (of({"any_of": ["D"]}), f"{FIRST}.any_of", 'an object with "values", such as {"values": ["Drama"'),
    (of({"allOf": {"values": [1990]}}), f"{FIRST}.all_of.values[0]", "text in double quotes"),
    (of({"range": {"min": "x"}}), f"{FIRST}.range.min", "a number, such as 0.5"),
    ({"return_attributes": [1]}, "return_attributes[0]", "text in double quotes"),
    ({"return_attributes": 1}, "return_attributes", "text in double quotes"),
    ({"return_attributes": "a_b"}, "return_attributes", 'a list, such as ["title"]'),
    *(({"limit": limit}, "limit", "a whole number, such as 10") for limit in (5.5, 2**31, True, "x")),
    ({"exact": 1}, "exact", "true or false"),
    ({"diversity": []}, "diversity", "a number, such as 0.5"),
    ({"unknown_ids": "ignore"}, "unknown_ids", "one of UNKNOWN_IDS_UNSPECIFIED, UNKNOWN_IDS_ERROR"),
]  # fmt: skip
NO = "there is no field"
SUBJECTS = "exactly one of user_id, session, features is needed"
TESTS = "exactly one of any_of, all_of, none_of, range is needed"
ELSE = [
    ({"excludeSean": 5}, "excludeSean", f"{NO} 'excludeSean'; did you mean 'exclude_seen'?"),
    ({"x\ny": 5}, "x\ny", rf"{NO} 'x\ny'; there are user_id, session, features"),
    ({"session": {"items": ["5"]}}, "session.items", f"{NO} 'items' of session; did you mean"),
    ({"user_id": "3", "userId": "4"}, "user_id", "user_id is given twice"),
    ({"user_id": "3", "session": {}}, "session", f"{SUBJECTS}, not user_id and session"),
    (of({"any_of": {}, "none_of": {}}), FIRST, f"{FIRST}: {TESTS}, not any_of and none_of"),
    ([3], "", 'should be a JSON object with "user_id", such as {"user_id": "3"}'),
]
NO_JSON = [
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
]


@pytest.mark.parametrize(
    ("content", "field", "text"),
    [
        *((content, field, f"{field} should be {text}") for content, field, text in SHOULD_BE),
        *ELSE,
        *((line, "", f"isn't JSON: {text}") for line, text in NO_JSON),
    ],
)
def test_a_field_is_named_with_what_it_should_be_or_else_a_column(content, field, text):
    with pytest.raises(JsonRequestError) as caught:
        recommend(content)
    assert caught.value.field == field
    assert str(caught.value).startswith(text) if field else str(caught.value) == text
    assert not FOREIGN.search(str(caught.value))
