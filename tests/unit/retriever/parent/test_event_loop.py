import os
import signal
import socket
from types import SimpleNamespace

from lightfm_retriever.hosting.process import STOPPING
from retriever.parent.event_loop import Events


def test_it_hears_from_workers_until_it_is_to_forget_them():
    events = Events()
    pairs = [socket.socketpair() for _ in range(2)]
    workers = [SimpleNamespace(connection=ours) for ours, _ in pairs]
    for worker, (_, theirs) in zip(workers, pairs, strict=True):
        events.listen_to(worker)
        theirs.send(b"x")
    assert sorted(map(workers.index, events.wait())) == [0, 1]
    events.forget(workers[0])
    assert events.wait() == workers[1:]
    for end in pairs[0] + pairs[1]:
        end.close()


def test_timers_are_called_when_they_are_due_and_others_wake_it_up_once():
    events = Events()
    called = []
    for seconds, name in ((3600, "late"), (0.002, "second"), (0.001, "first")):
        events.after(seconds, lambda name=name: called.append(name))
    while len(called) < 2:
        assert events.wait() == []
        events.run_timers()
    assert called == ["first", "second"]
    events.drop_timers()
    events.after(0, events.drop_timers)
    events.after(3600, lambda: called.append("none"))
    events.wait()
    events.run_timers()
    assert called == ["first", "second"]
    # Others wake it up once, however often they call: more than there is room for.
    for _ in range(2000):
        events.wake_up()
    assert events.wait() == []
    events.after(0.01, lambda: called.append("due"))
    assert events.wait() == []
    events.run_timers()
    assert called[2:] == ["due"]


def test_signals_end_the_wait_also_those_that_came_before_it():
    events = Events()
    before = {number: signal.getsignal(number) for number in STOPPING}
    try:
        events.catch_signals()
        for number in STOPPING:
            os.kill(os.getpid(), number)
        assert events.wait() == []
        assert events.signals == [*STOPPING]
    finally:
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
