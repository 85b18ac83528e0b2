"""Callers that each ask again as soon as they are answered, for a given time.

Started as `python -m tests.benchmarks.closed_loop TARGET CONNECTIONS SECONDS`; writes the latency of
every call in seconds as float64 to standard output. Requests are ready-made bytes, so that the callers
leave as much as possible of the machine to the server.
"""

from __future__ import annotations

import sys
import threading
import time

import grpc
import numpy as np
from recsys.retriever.v1 import retriever_service_pb2 as pb

from tests.load.models import USER_IDS

METHOD = "/recsys.retriever.v1.RetrieverService/Recommend"


def main(arguments: list[str]) -> None:
    target, connections, seconds = arguments[0], int(arguments[1]), float(arguments[2])
    requests = [pb.RecommendRequest(user_id=user_id).SerializeToString() for user_id in USER_IDS]
    latencies: list[list[float]] = [[] for _ in range(connections)]
    begin = threading.Barrier(connections)

    def call(own: list[float]) -> None:
        with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            ask = channel.unary_unary(METHOD)
            ask(requests[0], timeout=10, wait_for_ready=True)
            begin.wait()
            now = time.perf_counter()
            end = now + seconds
            number = 0
            while now < end:
                ask(requests[number % len(requests)], timeout=10)
                began, now = now, time.perf_counter()
                own.append(now - began)
                number += 1

    threads = [threading.Thread(target=call, args=(own,)) for own in latencies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sys.stdout.buffer.write(np.concatenate(latencies).tobytes())


if __name__ == "__main__":
    main(sys.argv[1:])
