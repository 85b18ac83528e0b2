"""Calls a method again and again until its input ends, then prints how many calls ended how.

python caller.py TARGET METHOD REQUEST CONFIG WAIT, as caller.js.
"""

import base64
import json
import sys
import threading
from collections import Counter
from pathlib import Path

import grpc

INTERVAL_SECONDS = 0.025
SECONDS = 20


def main() -> None:
    """Call, and print."""
    target, method, request, config, wait = sys.argv[1:]
    options = [("grpc.service_config", Path(config).read_text("utf-8"))] if config else []
    stopping = threading.Event()

    def wait_for_the_end() -> None:
        sys.stdin.read()
        stopping.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    calls = []
    with grpc.insecure_channel(target, options=options) as channel:
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(method)
        data = base64.b64decode(request)
        while True:
            ready = True if wait == "wait" else None
            calls.append(call.future(data, timeout=SECONDS, wait_for_ready=ready))
            if len(calls) == 1:
                calls[0].exception()
                print("began", flush=True)
            if stopping.wait(INTERVAL_SECONDS):
                break
        print(json.dumps(Counter(one.code().name for one in calls)))


if __name__ == "__main__":
    main()
