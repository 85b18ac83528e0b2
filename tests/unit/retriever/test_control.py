from itertools import pairwise
from typing import get_args, get_origin

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retriever import control

PLAIN = {
    str: st.text(max_size=20),
    int: st.integers(0, 2**53),
    float: st.floats(0, 4e9),
    bool: st.booleans(),
    type(None): st.none(),
}


def any_of(kind):
    """Whatever a type allows."""
    origin, inner = get_origin(kind), map(any_of, get_args(kind))
    if kind in PLAIN:
        return PLAIN[kind]
    if origin is None:
        fields = msgspec.structs.fields(kind)
        return st.builds(kind, **{field.name: any_of(field.type) for field in fields})
    several = {list: st.lists, dict: st.dictionaries}.get(origin)
    return st.one_of(*inner) if several is None else several(*inner, max_size=2)


MESSAGES = {of: any_of(of) for of in (control.ToWorker, control.ToParent)}


@pytest.mark.parametrize("of", MESSAGES, ids=["to a worker", "to the parent"])
@given(st.data())
def test_messages_come_back_however_the_stream_is_cut(of, data):
    messages = data.draw(st.lists(MESSAGES[of], max_size=3))
    stream = b"".join(map(control.encoded, messages))
    assert stream.count(b"\n") == len(messages)
    places = data.draw(st.lists(st.integers(0, len(stream)), max_size=8))
    lines, received = control.Lines(of), []
    for start, end in pairwise(sorted({0, len(stream), *places})):
        received += lines.feed(stream[start:end])
    assert received == messages


@pytest.mark.parametrize("data", [b"rubbish\n", b"\n", b"{}\n", b'{"type":"Commit","version":"v"}\n'])
def test_what_the_other_side_never_says_is_an_error(data):
    with pytest.raises(msgspec.DecodeError):
        control.Lines(control.ToParent).feed(data)
