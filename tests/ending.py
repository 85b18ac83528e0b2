"""Callers over a service's end."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from tests.service import PATIENCE

_CHANNELS = 4
_AT_ONCE = 4
_OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]


def end_of_calls(
    target: str, method: Callable[[grpc.Channel], Any], request: Any, end: Callable[[], int]
) -> set[grpc.StatusCode]:
    """How the calls failed of callers that never retry, while `end` ends the service with status 0.

    Each caller makes several calls at once and waits for their answers before it goes on, until one
    fails.
    """
    answered = threading.Semaphore(0)

    def call_until_one_fails() -> set[grpc.StatusCode]:
        with grpc.insecure_channel(target, options=_OPTIONS) as channel:
            ask = method(channel)
            while True:
                calls = [ask.future(request, timeout=PATIENCE) for _ in range(_AT_ONCE)]
                codes = {call.code() for call in calls} - {grpc.StatusCode.OK}
                if codes:
                    return codes
                answered.release()

    with ThreadPoolExecutor(_CHANNELS) as pool:
        calling = [pool.submit(call_until_one_fails) for _ in range(_CHANNELS)]
        for _ in range(20):
            assert answered.acquire(timeout=PATIENCE)
        assert end() == 0
        return set().union(*(each.result() for each in calling))
