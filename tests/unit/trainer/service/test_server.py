import os
import threading
from unittest import mock

import pytest

from trainer.errors import StateError
from trainer.service import server


def test_a_lock_or_a_state_directory_that_is_none_is_named(tmp_path):
    os.mkfifo(tmp_path / "lock")
    (tmp_path / "state").touch()
    for state, said in ((tmp_path, "lock: is a FIFO"), (tmp_path / "state", "state: File exists")):
        with pytest.raises(StateError, match=f"{tmp_path}/{said}"):
            server._exclusive(state)


def test_a_queue_that_does_not_go_on_is_not_ready():
    taking_calls = threading.Event()
    taking_calls.set()
    for problem in ("no run starts", None):
        scheduler = mock.Mock(**{"problem.return_value": problem})
        assert server._why_not_ready(mock.Mock(), scheduler, taking_calls) == problem
