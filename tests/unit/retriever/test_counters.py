"""What workers count, in memory that outlives them."""

import os
import sys
import threading
from collections import Counter

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recsys.retriever.v1 import retriever_service_pb2 as pb

from retriever import counters
from retriever.answer_words import SearchMethod, ShortReason, Source
from retriever.answering.queries import RankedRows
from retriever.counters import BOUNDS, CODES, METHODS, Counters


def answer(source=Source.PERSONALIZED, exact=False, candidates=10, short=None):
    return RankedRows([], [], source, exact, candidates, 0, short)


SHORT = st.none() | st.sampled_from(ShortReason)
ANSWERS = st.builds(answer, st.sampled_from(Source), st.booleans(), st.integers(0, 1 << 40), SHORT)
ENDED = st.tuples(
    st.sampled_from(METHODS), st.sampled_from(CODES), st.none() | st.floats(0, 100, allow_nan=False)
)
ANSWERED = st.tuples(st.sampled_from(METHODS), st.lists(ANSWERS, max_size=5))


def test_everything_that_can_be_said_has_a_place():
    rpcs = pb.DESCRIPTOR.services_by_name["RetrieverService"].methods
    assert sorted(METHODS) == sorted(rpc.name for rpc in rpcs)
    assert tuple(code.name for code in grpc.StatusCode) == CODES


@given(st.lists(ENDED | ANSWERED, max_size=20))
def test_whatever_is_counted_sums_up(events):
    made, expected = Counters.create(), Counter()
    for event in events:
        if len(event) == 3:
            method, code, seconds = event
            made.ended(method, code, seconds)
            expected["calls", method, code] += 1
            if seconds is not None:
                bucket = sum(bound < seconds for bound in BOUNDS)
                expected["durations", method, bucket] += 1
                expected["nanoseconds", method] += int(seconds * 1e9)
            continue
        method, answers = event
        made.answered(method, answers)
        for own in answers:
            expected["answers", method, own.source, [*SearchMethod][own.exact]] += 1
            expected["candidates", method] += own.candidates
            if own.short:
                expected["short", method, own.short] += 1
    assert +Counter(made.read()) == +expected


def test_increments_of_several_threads_are_not_lost():
    made, begin, times = Counters.create(), threading.Barrier(4), 2000
    made.serve("a")

    def run():
        begin.wait()
        for _ in range(times):
            made.ended("Recommend", "OK", 0.001)
            made.answered("Recommend", [answer(short=ShortReason.FILTER)])
            made.sampled("a", found=1, expected=1)
            made.skipped()

    threads = [threading.Thread(target=run) for _ in range(4)]
    switch = sys.getswitchinterval()
    # As often as possible in the middle of counting.
    sys.setswitchinterval(1e-6)
    try:
        for step in (threading.Thread.start, threading.Thread.join):
            for thread in threads:
                step(thread)
    finally:
        sys.setswitchinterval(switch)
    counts = made.read()
    assert counts.pop(("version",))
    # Nanoseconds and candidates come in larger steps.
    assert {count / times / 4 for count in counts.values()} == {0, 1, 10, 1e6}


def test_whoever_has_the_descriptor_counts_on():
    made = Counters.create()
    for _ in range(2):
        Counters(made.descriptor).ended("Recommend", "NOT_FOUND", 0.5)
    counts = made.read()
    assert counts["calls", "Recommend", "NOT_FOUND"] == 2
    assert counts["nanoseconds", "Recommend"] == 1_000_000_000
    # Other services aren't counted, and nobody can cut off what others read.
    made.ended("Check", "OK", 0.1)
    assert made.read() == counts
    for size in (0, 1 << 20):
        with pytest.raises(PermissionError):
            os.ftruncate(made.descriptor, size)


def test_recall_is_of_the_version_in_service():
    first, second = Counters.create(), Counters.create()

    def recall(version):
        return counters.recall([first.read(), second.read()], version)

    first.serve("a")
    assert recall("a") is None
    first.sampled("a", found=9, expected=10)
    second.serve("a")
    second.sampled("a", found=5, expected=10)
    assert recall("a") == 0.7
    # A process that comes back goes on with what was counted.
    first.serve("a")
    assert recall("a") == 0.7
    assert recall("b") is None
    first.serve("b")
    # One that took long: of the version before.
    first.sampled("a", found=0, expected=10)
    assert recall("b") is None
    first.sampled("b", found=4, expected=4)
    assert (recall("b"), recall("a")) == (1, 0.5)
    assert first.read()["samples",] == 3
