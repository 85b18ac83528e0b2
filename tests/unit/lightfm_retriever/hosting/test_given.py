"""What callers give, as what can be sent."""

import itertools

import numpy as np
import pytest

from lightfm_retriever.hosting import given
from lightfm_retriever.hosting.errors import ArgumentError, HostingError


def test_texts_and_whole_numbers_are_ids_and_nothing_else_is():
    for value in ("3", "", "東京", 3, -3, np.int64(3), np.uint8(200), np.str_("x"), 2**70):
        assert given.identifier("user_id", value) == str(value)

    for value, said in (
        (True, "true, but should be an id: text such as '3', or a whole number such as 3"),
        (np.True_, "of the kind bool"),
        (3.0, "3.0, but should be an id"),
        (b"3", "bytes, but"),
        (None, "missing, but"),
        (["3"], "a list, but"),
        ("x" * 10**6 + "\udc80", f"the text '{64 * 'x'}', but"),
        ({"3": 1}, "a mapping, but"),
        (object(), "of the kind object, but"),
        ("a\udc80", r"the text 'a\udc80', but should be text that UTF-8 can hold"),
        (10**5000, "a number beyond all bounds, but should be an id of at most 512 digits"),
    ):
        with pytest.raises(ArgumentError) as raised:
            given.identifier("user_id", value)
        assert str(raised.value).startswith(f"user_id is {said}")
        assert raised.value.argument == "user_id"
        # Callers may catch it as what it was before it had a name.
        assert isinstance(raised.value, HostingError | TypeError | ValueError)


def test_an_entry_is_named_by_its_place_and_a_list_without_an_end_has_one(monkeypatch):
    with pytest.raises(ArgumentError, match=r"^items\[1\] is 5.0, but should be an id") as raised:
        given.identifiers("items", np.array(["1", 5.0], object), "a list")
    assert raised.value.argument == "items[1]"
    monkeypatch.setattr(given, "MOST_ENTRIES", 100)
    with pytest.raises(ArgumentError, match="a list of at most 100 entries"):
        given.identifiers("items", itertools.count(), "a list")


@pytest.mark.parametrize("value", [0, -1, 0.0009, float("nan"), float("inf"), "1", True, None, 10**400])
def test_what_is_no_time_to_wait_is_refused(value):
    with pytest.raises(ArgumentError, match=r"^time is .* a number of seconds of 0.001 or more"):
        given.seconds("time", value)
