import json

import grpc
import pytest

from retriever.__main__ import main
from retriever.client import CallError, RetrieverClient

SESSION, RANGE = "session.weights", "filter.conditions[0].range"
FOREIGN = "isn't a token of this service:"
FLAGS_OF_ITEMS = [
    (
        "recommend --session 1 --session-item 2",
        f"{SESSION[:8]}item_ids[1]",
        "is x",
        "--session-item is x",
    ),
    ("recommend --session 50:0", SESSION, "are all 0", "--session: the weights are all 0"),
    ("recommend --session 50:nan", f"{SESSION}[0]", "is nan", "--session: the weight of '50' is nan"),
    # The request has an item once.
    (
        "recommend --session 1,1:2 --session-item 50=-2",
        f"{SESSION}[1]",
        "is -2",
        "--session-item: the weight of '50' is -2",
    ),
    (
        "recommend 3 --exclude 1,2 --exclude-item ''",
        "exclude_item_ids[2]",
        "is x",
        "--exclude-item is x",
    ),
    ("recommend 3 --exclude 1,2 --exclude-item ''", "exclude_item_ids[0]", "is x", "--exclude is x"),
    ("similar-items --item ''", "item_id", "is x", "--item is x"),
    ("similar-items 1 --item ''", "items.item_ids[0]", "is x", "ITEM_ID is x"),
    ("similar-items 1 --item ''", "items.item_ids[1]", "is x", "--item is x"),
    ("similar-items 1 --item 2=-2", "items.weights[1]", "is -2", "--item: the weight of '2' is -2"),
]
ADVICE = [
    (
        "recommend 3 --any-of y=1",
        f"{RANGE[:-5]}any_of",
        "'y' is x: use range",
        "--any-of: 'y' is x: use --range",
    ),
    (
        "recommend 3 --range g=1..2",
        RANGE,
        "'range' is text: use any_of, all_of or none_of",
        "--range: 'range' is text: use --any-of, --all-of or --none-of",
    ),
    (
        "recommend 3 --page-token zz",
        "page_token",
        f"{FOREIGN} set the next_page_token of an answer",
        f"--page-token {FOREIGN} give the token that --paginate shows",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "field", "why", "said"),
    [
        (
            "recommend 3 --limit 5",
            "limit",
            "is 5, but should be more",
            "--limit is 5, but should be more",
        ),
        (
            "recommend 3 --all-of a=b --range year=1..2",
            "filter.conditions[1].attribute",
            "'year' isn't an attribute",
            "--range: 'year' isn't an attribute",
        ),
        (
            "recommend 3 --all-of a=b",
            "filter.conditions[0].attribute",
            "'a' isn't",
            "--all-of: 'a' isn't",
        ),
        (
            "recommend 3 --attributes x",
            "return_attribute_names[0]",
            "'x' isn't",
            "--attributes: 'x' isn't",
        ),
        ("recommend 3 --page-token t", "page_token", "isn't ours", "--page-token isn't ours"),
        ("similar-items ''", "item_id", "is empty", "ITEM_ID is empty"),
        ("recommend ''", "user_id", "is empty", "USER_ID is empty"),
        ("recommend --session 1,2", "session.item_ids[1]", "is empty", "--session is empty"),
        *FLAGS_OF_ITEMS,
        *ADVICE,
    ],
)
def test_a_refusal_names_the_flag_and_is_a_mistake(capsys, monkeypatch, arguments, field, why, said):
    def refuse(*_, **__):
        code = grpc.StatusCode.INVALID_ARGUMENT
        raise CallError("a:1", code, f"{field}: {why}", field=field)

    for method in ("recommend", "similar_items"):
        monkeypatch.setattr(RetrieverClient, method, refuse)
    command = [one.strip("'") for one in arguments.split()]
    hint = f"See 'lightfm-retriever {command[0]} --help'."
    assert main(command) == 2
    assert capsys.readouterr() == ("", f"error: a:1: {said}\n{hint}\n")
    # Under --json the error is JSON, too.
    assert main([*command, "--json"]) == 2
    told = {"message": f"a:1: {said}", "status": 2, "code": "INVALID_ARGUMENT", "field": field}
    assert json.loads(capsys.readouterr().err) == {"error": told}
