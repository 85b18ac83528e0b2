from __future__ import annotations

import socket
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retriever import control

texts = st.text(max_size=30)
numbers = st.floats(0, 4e9)
counts = st.integers(0, 2**53)
loads = st.builds(control.Load, counts, counts, counts, counts)
to_worker = st.one_of(
    st.builds(control.Listen),
    st.builds(control.Prepare, texts, st.integers(0, 2**53)),
    st.builds(control.Commit, texts),
    st.builds(control.Abandon),
    st.builds(control.Drain, numbers, numbers),
    st.builds(
        control.ServiceState,
        label=texts,
        target=texts,
        version=texts,
        label_problem=texts,
        last_reload=st.none()
        | st.builds(control.ReloadFacts, texts, st.booleans(), texts, numbers, numbers, numbers),
        workers=st.lists(
            st.builds(
                control.WorkerFacts,
                index=st.integers(0, 255),
                pid=st.integers(0, 2**22),
                state=texts,
                version=texts,
                started_at=numbers,
                serving_since=numbers,
                restarts=st.integers(0, 9),
                load=loads,
            ),
            max_size=3,
        ),
        failed=st.lists(st.builds(control.FailedVersion, texts, texts, numbers), max_size=3),
    ),
)
to_parent = st.one_of(
    st.builds(control.Booted),
    st.builds(control.Listening),
    st.builds(control.Beat, loads),
    st.builds(control.Prepared, texts, counts),
    st.builds(control.PrepareFailed, texts, counts, texts),
    st.builds(control.Committed, texts, numbers),
)


def encoded(message):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        control.send(ours, message)
        return theirs.recv(1 << 16)


def cut(data, places):
    """The data in pieces, as a stream may deliver it."""
    ends = sorted({place % (len(data) + 1) for place in places} | {0, len(data)})
    return [data[start:end] for start, end in pairwise(ends)]


@pytest.mark.parametrize("kind", ["to_worker", "to_parent"])
@given(st.data())
def test_messages_come_back_however_the_stream_is_cut(kind, data):
    of, strategy = {
        "to_worker": (control.ToWorker, to_worker),
        "to_parent": (control.ToParent, to_parent),
    }[kind]
    messages = data.draw(st.lists(strategy, max_size=5))
    stream = b"".join(map(encoded, messages))
    lines = control.Lines(of)
    received = []
    for piece in cut(stream, data.draw(st.lists(st.integers(0, 10**6), max_size=8))):
        received += lines.feed(piece)
    assert received == messages


@given(to_worker | to_parent)
def test_a_message_is_one_line_whatever_is_in_it(message):
    data = encoded(message)
    assert data.endswith(b"\n")
    assert data.count(b"\n") == 1


def test_a_message_is_only_taken_when_it_is_complete():
    lines = control.Lines(control.ToParent)
    data = encoded(control.Prepared("v", 1))
    assert lines.feed(data[:-1]) == []
    assert lines.feed(b"") == []
    assert lines.feed(data[-1:] + data[:3]) == [control.Prepared("v", 1)]
    assert lines.feed(data[3:]) == [control.Prepared("v", 1)]


@pytest.mark.parametrize("data", [b"rubbish\n", b"\n", b"{}\n", b'{"type":"Commit","version":"v"}\n'])
def test_what_the_other_side_never_says_is_an_error(data):
    with pytest.raises(msgspec.DecodeError):
        control.Lines(control.ToParent).feed(data)


def test_sending_to_nobody_is_an_error():
    ours, theirs = socket.socketpair()
    theirs.close()
    with ours, pytest.raises(OSError, match="Broken pipe"):
        control.send(ours, control.Booted())
