"""Clients in other languages, and what they need: what docs/how-to/other-languages.md says."""

from contextlib import contextmanager

import grpc
import pytest
from recsys.retriever.v1 import retriever_service_pb2 as pb

from lightfm_retriever.hosting.serving.admission import overloaded
from retriever.client import CallError, RetrieverClient
from tests.callers.command import LANGUAGES, calling, missing
from tests.callers.restart import POLICY, RECOMMEND, over_a_restart
from tests.integration.retriever.fakes import answering


@pytest.fixture(params=LANGUAGES)
def language(request):
    if problem := missing(request.param):
        pytest.skip(problem)
    return request.param


@contextmanager
def full_server(refusals):
    """One that refuses its first calls as a full one does; its target, and all calls so far."""
    attempts = []

    def refuse(request, context):
        attempts.append(request)
        if len(attempts) <= refusals:
            context.abort_with_status(overloaded(0.001))

    with answering(refuse) as target:
        yield target, attempts


def test_no_call_fails_over_a_restart_in_place(language):
    counts = over_a_restart(language, config=POLICY, waits=language == "node")
    assert counts.keys() == {"OK"}, counts


def test_a_full_service_is_asked_again_when_it_says(language):
    request = pb.RecommendRequest()
    with (
        full_server(3) as (target, _),
        calling(language, target, RECOMMEND, request, config=POLICY, waits=False) as caller,
    ):
        caller.wait_until_it_calls()
        assert {*caller.stop()} == {"OK"}


def test_retries_of_a_service_that_stays_full_have_a_budget():
    calls = 600
    with full_server(10_000) as (target, attempts), RetrieverClient(target, connections=1) as client:
        for _ in range(calls):
            with pytest.raises(CallError) as caught:
                client.recommend("3", timeout_seconds=30)
            assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert caught.value.retry_seconds == pytest.approx(0.001)
        # Of five attempts for each call there were hardly more than the budget allows.
        assert calls < len(attempts) < calls + 600
