import errno

import pytest

from lightfm_retriever.hosting import words


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "is missing, but should be x"),
        (True, "is set, but should be x"),
        (False, "is not set, but should be x"),
        (5, "is 5, but should be x"),
        (["a", "b"], "is a, b, but should be x"),
        ([], "is empty, but should be x"),
        ("a b", "is 'a b', but should be x"),
        ({"a": 1}, "is a table, but should be x"),
    ],
)
def test_what_is_wrong_with_a_value_is_said_without_words_of_a_language(value, said):
    assert words.wrong(value, "x") == said


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("no idea"), "an unexpected error: no idea"),
        (ValueError(), "an unexpected error"),
        (MemoryError(), "there isn't enough memory"),
        (OSError(errno.ENOSPC, "No space", "/a/b"), "an unexpected error: /a/b: No space"),
    ],
)
def test_an_unexpected_error_has_no_name_of_a_class(error, said):
    assert words.unexpected(error) == said
