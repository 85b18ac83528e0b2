import contextvars

import pytest

from lightfm_retriever.hosting.observing import request_ids


def take(*metadata):
    return contextvars.copy_context().run(lambda: (request_ids.take(metadata), request_ids.current()))


def test_the_callers_id_is_taken():
    given = 127 * "x" + " "
    assert take(("user-agent", "x"), ("x-request-id", given)) == (given, given)
    assert request_ids.current() == ""


@pytest.mark.parametrize("given", ["", "x" * 129, "two\nlines", "é"])
def test_what_could_be_harmful_is_replaced_by_another_each_time(given):
    (first, current), (second, _) = take(("x-request-id", given)), take()
    assert first == current != second
