from __future__ import annotations

import contextlib
import contextvars

import pytest

from lightfm_retriever.hosting.observing import spans
from lightfm_retriever.hosting.observing.spans import span


class Recorder:
    def __init__(self):
        self.recorded = []

    @contextlib.contextmanager
    def span(self, name, attributes):
        self.recorded.append(("begin", name, attributes))
        yield
        self.recorded.append(("end", name))

    def ids(self):
        return "a" * 32, "b" * 16


def test_without_a_recorder_a_span_is_one_shared_nothing():
    assert span("search") is span("filter", conditions=3)
    with pytest.raises(KeyError), span("search"):
        raise KeyError
    assert spans.ids() is None
    assert spans.traceparent() == ""


def test_a_span_is_recorded_in_its_own_context_alone():
    recorder = Recorder()

    def traced():
        spans.record_with(recorder)
        with span("search", questions=2), span("filter"):
            pass
        return spans.ids(), spans.traceparent()

    ids, parent = contextvars.copy_context().run(traced)
    assert recorder.recorded == [
        ("begin", "search", {"questions": 2}),
        ("begin", "filter", {}),
        ("end", "filter"),
        ("end", "search"),
    ]
    assert ids == ("a" * 32, "b" * 16)
    assert parent == f"00-{'a' * 32}-{'b' * 16}-01"
    assert spans.ids() is None
