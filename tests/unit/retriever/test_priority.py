from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor

from retriever.priority import make_way


def niceness():
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())


def test_a_thread_and_those_it_starts_make_way_and_no_other_does():
    before = niceness()
    found = []

    def work():
        make_way()
        with ThreadPoolExecutor(1) as others:
            found.extend([niceness(), others.submit(niceness).result()])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [19, 19]
    assert niceness() == before
