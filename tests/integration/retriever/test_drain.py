"""The end of a service, and of a connection."""

import contextlib
import signal

import grpc
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb
from recsys.retriever.v1 import retriever_service_pb2_grpc as pb_grpc

from tests.ending import end_of_calls
from tests.integration.retriever.test_overload import HeldCall
from tests.load import callers, models
from tests.service import watch_health


def test_sigterm_says_not_serving_answers_for_a_while_and_finishes_what_is_in_flight(start, volume):
    service = start(volume, workers=1, drain_seconds=1, grace_seconds=20)
    with (
        watch_health(service.target) as states,
        grpc.insecure_channel(service.target) as channel,
        callers.connection(service.target) as ask,
    ):
        assert next(states) == "SERVING"
        # A held call says in two writes that it was sent, and the server closes a connection after its
        # last call: another one keeps it open between the two.
        held, other_held = HeldCall(channel), HeldCall(channel)
        service.wait_until(lambda status: status.workers[0].calls_in_flight == 2)
        service.signal(signal.SIGTERM)
        assert next(states) == "NOT_SERVING"
        # In the drain delay, calls and new connections are still answered.
        assert ask("Recommend", models.USER_IDS[0])[1]
        with callers.connection(service.target) as other:
            assert other("Recommend", models.USER_IDS[0])[1]
        # Then no more, but what was in flight may go on.
        with contextlib.suppress(grpc.RpcError):
            while True:
                ask("Recommend", models.USER_IDS[0])
        held.send()
        assert len(held.future.result(timeout=20).items) == models.LIMIT
        other_held.cancel()
        # The watch would have lasted to the end of the grace.
        assert next(states, "ended") == "ended"
    assert service.wait() == 0


def test_a_call_that_never_ends_is_cut_off_at_the_end_of_the_grace(start, volume):
    service = start(volume, workers=1, grace_seconds=1)
    with grpc.insecure_channel(service.target) as channel:
        held = HeldCall(channel)
        service.wait_until(lambda status: status.workers[0].calls_in_flight == 1)
        service.signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError):
            held.future.result(timeout=20)
        held.cancel()
    assert service.wait() == 0


def test_under_load_every_call_that_is_taken_is_answered(start, volume):
    service = start(volume)
    # Without retries: whoever isn't answered finds nobody there.
    assert end_of_calls(
        service.target,
        lambda channel: pb_grpc.RetrieverServiceStub(channel).Recommend,
        pb.RecommendRequest(user_id=models.USER_IDS[0]),
        service.terminate,
    ) == {grpc.StatusCode.UNAVAILABLE}


def test_old_connections_end_so_that_a_client_spreads_over_the_workers(start, volume):
    service = start(volume, workers=2, max_connection_age_seconds=0.3)
    with callers.connection(service.target) as ask:
        # One connection is always answered by one worker, until it ends.
        def asked(status):
            return ask("Recommend", models.USER_IDS[0]) and all(own.calls for own in status.workers)

        service.wait_until(asked)
