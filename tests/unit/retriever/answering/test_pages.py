"""Page tokens: what comes back is what went in, and anything else is refused."""

import base64
import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lightfm_retriever.publication import layout
from retriever.answering import pages
from retriever.answering.pages import Page, Position
from retriever.errors import InvalidArgumentError, PageExpiredError

VERSION, OTHER = "20261124T043500Z-3fa9c1", "20261125T043500Z-3fa9c2"
KEY, OTHER_KEY = "5a" * 32, "5b" * 32
PAGE = Page(pages.fingerprint(b"a request"))
ODD = "ABCz09-_=+/ \n.é🎬"
FOREIGN = "isn't a token of this service: set the next_page_token of an answer"
# What a token holds before its version: tag, width and offset, fingerprint.
VERSION_STARTS = 8 + 8 + 8

positions = st.builds(Position, *[st.integers(0, 2**32 - 1)] * 2)
tokens = st.builds(lambda position: encode(position), positions)


def encode(position, *, page=PAGE, version=VERSION, key=KEY):
    return pages.encode(position, page, version=version, key=key)


def decode(token, *, fingerprint=PAGE.fingerprint, version=VERSION, key=KEY):
    return pages.decode(Page(fingerprint, token), version=version, key=key)


def refusal(token, **of):
    with pytest.raises(InvalidArgumentError) as caught:
        decode(token, **of)
    assert caught.value.field == "page_token"
    return caught.value.reason


def assert_refused(token):
    """As no token of this service, or as one of another version, if that is what it says."""
    with pytest.raises((InvalidArgumentError, PageExpiredError)) as caught:
        decode(token)
    if isinstance(caught.value, PageExpiredError):
        version = bytes_of(token)[VERSION_STARTS:].decode()
        assert layout.is_version_name(version)
        assert caught.value.of_version == version != VERSION
    else:
        assert (caught.value.field, caught.value.reason) == ("page_token", FOREIGN)


def bytes_of(token):
    return base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))


@given(positions, st.binary())
def test_a_token_is_read_as_it_was_written_and_needs_no_quoting_in_an_address(position, request):
    page = Page(pages.fingerprint(request))
    token = encode(position, page=page)
    assert decode(token, fingerprint=page.fingerprint) == position
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,99}", token)
    # Who doesn't know the key can make none.
    assert refusal(encode(position, key=OTHER_KEY)) == FOREIGN


@given(tokens, st.data())
def test_a_token_with_a_change_is_refused(token, data):
    """Among them such as decode to the same bytes: the last character has bits that don't count."""
    content = bytearray(bytes_of(token))
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    place, other = data.draw(st.integers(0, len(token) - 1)), data.draw(st.sampled_from(ODD))
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(token))] * 2)))
    more = data.draw(st.binary(min_size=1, max_size=200))
    for changed in (
        pages._text(content),
        token[:place] + other + token[place + 1 :],
        token[start:end],
        pages._text(more + bytes_of(token)),
        pages._text(bytes_of(token) + more),
    ):
        # Nothing at all asks for the first page.
        if changed not in (token, ""):
            assert_refused(changed)


def test_of_all_that_decode_to_the_same_bytes_one_is_a_token():
    token = encode(Position(1, 2))
    # As long as the content, so that the last character has bits to spare.
    assert len(bytes_of(token)) % 3
    letters = string.ascii_letters + string.digits + "-_"
    same = [token[:-1] + last for last in letters if bytes_of(token[:-1] + last) == bytes_of(token)]
    assert len(same) > 1
    for other in {*same, token + "=", token + "\n", " " + token} - {token}:
        assert refusal(other) == FOREIGN


@given(st.text(min_size=1) | st.binary(min_size=1).map(pages._text))
@example("A" * 10**6)
@example("é" * 10**6)
@example("====")
def test_garbage_is_refused(token):
    assert refusal(token) == FOREIGN


@given(tokens)
def test_a_token_of_another_request_is_refused_and_one_of_another_version_has_expired(token):
    other = pages.fingerprint(b"another request")
    reason = refusal(token, fingerprint=other)
    assert reason.startswith(
        "belongs to another request: keep all fields except limit, paginate and max_res"
    )
    for fingerprint in (PAGE.fingerprint, other):
        for key in (KEY, OTHER_KEY):
            with pytest.raises(PageExpiredError) as caught:
                decode(token, version=OTHER, key=key, fingerprint=fingerprint)
            assert (caught.value.of_version, caught.value.version) == (VERSION, OTHER)
