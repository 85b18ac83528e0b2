from __future__ import annotations

import os
import threading
from types import SimpleNamespace

import pytest

from trainer.errors import StateError
from trainer.service import server


def test_a_lock_that_is_no_file_is_named(tmp_path):
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(StateError, match="lock: is a FIFO") as caught, server._exclusive(tmp_path):
        pass
    assert caught.value.path == tmp_path / "lock"


def test_a_state_directory_that_is_a_file_is_named(tmp_path):
    (tmp_path / "state").touch()
    with pytest.raises(StateError, match="state: File exists"), server._exclusive(tmp_path / "state"):
        pass


def test_a_queue_that_does_not_go_on_is_not_ready():
    taking_calls, scheduler = threading.Event(), SimpleNamespace(problem=lambda: "no run starts")
    store = SimpleNamespace(check=lambda: None)
    taking_calls.set()
    assert server._why_not_ready(store, scheduler, taking_calls) == "no run starts"
    scheduler.problem = lambda: None
    assert server._why_not_ready(store, scheduler, taking_calls) is None
