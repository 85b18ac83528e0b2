import contextlib
import contextvars

import pytest

from lightfm_retriever.hosting.observing import spans
from lightfm_retriever.hosting.observing.spans import span


class Recorder(list):
    @contextlib.contextmanager
    def span(self, name, attributes):
        self.append(("begin", name, attributes))
        yield
        self.append(("end", name))

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
        assert spans.ids() == ("a" * 32, "b" * 16)
        return spans.traceparent()

    assert contextvars.copy_context().run(traced) == f"00-{'a' * 32}-{'b' * 16}-01"
    begun = [("begin", "search", {"questions": 2}), ("begin", "filter", {})]
    assert recorder == [*begun, ("end", "filter"), ("end", "search")]
    assert spans.ids() is None
