"""The least that a gRPC server in Python can do: a process that answers the same bytes to every call.

Started as `python -m tests.benchmarks.echo_server ADDRESS HEX THREADS`; any number of them share a
port. Says "ready", and ends with its standard input.
"""

import sys
from concurrent.futures import ThreadPoolExecutor

import grpc


def main(address: str, reply: str, threads: str) -> None:
    content = bytes.fromhex(reply)
    # No request is parsed.
    handler = grpc.unary_unary_rpc_method_handler(lambda *_: content)
    methods = dict.fromkeys(("Recommend", "SimilarItems", "BatchRecommend"), handler)
    server = grpc.server(
        ThreadPoolExecutor(int(threads)),
        handlers=[
            grpc.method_handlers_generic_handler("recsys.retriever.v1.RetrieverService", methods)
        ],
        options=[("grpc.so_reuseport", 1)],
    )
    server.add_insecure_port(address)
    server.start()
    print("ready", flush=True)
    sys.stdin.read()
    server.stop(grace=None)


if __name__ == "__main__":
    main(*sys.argv[1:])
