import errno

from lightfm_retriever.hosting import words


def test_what_is_wrong_with_a_value_is_said_without_words_of_a_language():
    values = (None, True, False, 5, ["a", "b"], [], "a b", {"a": 1})
    told = ("missing", "set", "not set", "5", "a, b", "empty", "'a b'", "a table")
    assert [words.wrong(own, "x") for own in values] == [f"is {own}, but should be x" for own in told]


def test_an_unexpected_error_has_no_name_of_a_class():
    for error, said in (
        (RuntimeError("no idea"), "an unexpected error: no idea"),
        (ValueError(), "an unexpected error"),
        (MemoryError(), "there isn't enough memory"),
        (OSError(errno.ENOSPC, "No space", "/a/b"), "an unexpected error: /a/b: No space"),
    ):
        assert words.unexpected(error) == said


def test_the_nearest_name_is_asked_for_as_it_is_spelled():
    known = ["epochs", "components"]
    assert words.meant("epoch", known) == "did you mean epochs?"
    assert (
        words.meant("epoch", known, spell=lambda own: f"OWN_{own.upper()}")
        == "did you mean OWN_EPOCHS?"
    )
    assert words.meant("xyz", known) == ""
