import json
import select
import threading

import pytest

from lightfm_retriever.hosting.observing import access_log
from lightfm_retriever.hosting.observing.access_log import AccessLog
from lightfm_retriever.hosting.observing.log_format import JsonFormat

PATIENCE = 30


class Reader:
    """Takes what is written, when it is let, but for the first of it if that is `lost`."""

    def __init__(self, *, lost=False):
        self.written = []
        self.asked = threading.Event()
        self.reading = threading.Event()
        self.lost = lost

    def write(self, data):
        self.asked.set()
        assert self.reading.wait(PATIENCE)
        lost, self.lost = self.lost, False
        if lost:
            raise BrokenPipeError
        self.written.append(data)

    def log(self):
        log = AccessLog(JsonFormat("worker 0", str), write=self.write)
        log.add({"number": 0})
        assert self.asked.wait(PATIENCE)
        return log

    def lines(self, log):
        self.reading.set()
        log.close(PATIENCE)
        return [json.loads(line) for line in b"".join(self.written).splitlines()]


def test_lines_come_in_order_and_together_but_in_pieces_that_never_mix():
    reader = Reader()
    log = reader.log()
    for number in range(1, 100):
        log.add({"number": number})
    assert [line["number"] for line in reader.lines(log)] == [*range(100)]
    assert 1 < len(reader.written) < 50
    assert max(map(len, reader.written)) <= select.PIPE_BUF
    assert all(data.endswith(b"\n") for data in reader.written)


@pytest.mark.parametrize(("lost", "come", "missing"), [(False, 31, 20), (False, 11, 0), (True, 2, 1)])
def test_calls_go_on_when_nobody_reads_and_what_is_lost_is_counted(lost, come, missing, monkeypatch):
    monkeypatch.setattr(access_log, "_MOST", 10)
    reader = Reader(lost=lost)
    log = reader.log()
    for number in range(1, come):
        log.add({"number": number})
    *calls, last = [*reader.lines(log), {}][: -1 if missing else None]
    assert [line["number"] for line in calls] == [*range(lost, min(come, 11))]
    if missing:
        assert (last["level"], last["lines"]) == ("WARNING", missing)


def test_closing_waits_no_longer_than_it_is_told():
    reader = Reader()
    log = reader.log()
    log.close(0.01)
    assert reader.written == []
    reader.reading.set()
