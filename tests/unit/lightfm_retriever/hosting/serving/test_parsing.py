"""A stream ends before what can't be parsed, and its call with it."""

from unittest import mock

import grpc
import pytest
from google.protobuf.message import DecodeError

from lightfm_retriever.hosting.calls import behavior_of
from lightfm_retriever.hosting.serving.parsing import parsing


def parse(data):
    if data == b"odd":
        raise DecodeError
    return data


@pytest.mark.parametrize("sent", [[b"1", b"2"], [b"1", b"odd", b"2"]])
@pytest.mark.parametrize("streams", [False, True])
def test_what_comes_before_is_read_and_the_call_ends(sent, streams):
    read, context = [], mock.Mock()
    if streams:
        handler = grpc.stream_stream_rpc_method_handler(lambda own, _: map(read.append, own), parse)
    else:
        handler = grpc.stream_unary_rpc_method_handler(lambda own, _: read.extend(own), parse)
    made = parsing("/a/B", handler)
    answer = behavior_of(made)(map(made.request_deserializer, sent), context)
    assert [*answer] == [None] * len(read) if streams else answer is None
    assert read == sent[: 1 if b"odd" in sent else None]
    told = mock.call(grpc.StatusCode.INTERNAL, "Exception deserializing request!")
    assert context.abort.mock_calls == ([told] if b"odd" in sent else [])
