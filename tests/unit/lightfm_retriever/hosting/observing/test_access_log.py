from __future__ import annotations

import json
import select
import threading

from lightfm_retriever.hosting.observing.access_log import AccessLog
from lightfm_retriever.hosting.observing.log_format import JsonFormat

PATIENCE = 30
LINES = JsonFormat("worker 0", str)


class Reader:
    """Takes what is written, when it is let."""

    def __init__(self, *, reading=True):
        self.written = []
        self.asked = threading.Event()
        self.reading = threading.Event()
        if reading:
            self.reading.set()

    def write(self, data):
        self.asked.set()
        assert self.reading.wait(PATIENCE)
        self.written.append(data)

    def lines(self):
        return [json.loads(line) for line in b"".join(self.written).splitlines()]


def test_lines_come_in_order_and_together_but_in_pieces_that_never_mix():
    reader = Reader()
    log = AccessLog(LINES, write=reader.write)
    for number in range(100):
        log.add({"number": number})
    log.close(PATIENCE)
    assert [line["number"] for line in reader.lines()] == [*range(100)]
    assert 1 < len(reader.written) < 50
    assert max(map(len, reader.written)) <= select.PIPE_BUF
    assert all(data.endswith(b"\n") for data in reader.written)


def test_calls_go_on_when_nobody_reads_and_what_is_lost_is_counted():
    reader = Reader(reading=False)
    log = AccessLog(LINES, write=reader.write, most=10)
    log.add({"number": 0})
    assert reader.asked.wait(PATIENCE)
    # The writer is stuck with the first.
    for number in range(1, 31):
        log.add({"number": number})
    reader.reading.set()
    log.close(PATIENCE)
    *calls, last = reader.lines()
    assert [line["number"] for line in calls] == [*range(11)]
    assert (last["level"], last["lines"]) == ("WARNING", 20)


def test_closing_waits_no_longer_than_it_is_told():
    reader = Reader(reading=False)
    log = AccessLog(LINES, write=reader.write)
    log.add({})
    assert reader.asked.wait(PATIENCE)
    log.close(0.01)
    assert reader.written == []
    reader.reading.set()


def test_a_reader_that_is_gone_ends_nothing():
    calls = []

    def write(data):
        calls.append(data)
        if len(calls) == 1:
            raise BrokenPipeError

    log = AccessLog(LINES, write=write)
    log.add({"number": 1})
    while not calls:
        threading.Event().wait(0.001)
    log.add({"number": 2})
    log.close(PATIENCE)
    [second, lost] = [json.loads(line) for line in b"".join(calls[1:]).splitlines()]
    assert second["number"] == 2
    assert lost["lines"] == 1
