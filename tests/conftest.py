"""Settings and fixtures that all tests share."""

import logging
import os
import re
import signal
import sqlite3
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import settings

from lightfm_retriever.hosting.observing.repeats import Repeats

# A slow machine is no failure; the tests' time is bounded by pytest-timeout. Half of hypothesis' usual
# number of examples, since there are new ones each time.
settings.register_profile("tests", deadline=None, max_examples=50, print_blob=True)
settings.load_profile("tests")

# A shell that starts the tests in the background has them ignore Ctrl-C, and with them every process
# that they start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Whoever configures logging would write to this test's standard error after its end."""
    root = logging.getLogger()
    before = [*root.handlers]
    for logger in [*root.manager.loggerDict.values()]:
        if isinstance(logger, logging.Logger) and logger.filters:
            # What another test had logged may be logged again.
            logger.filters = [Repeats() if isinstance(own, Repeats) else own for own in logger.filters]
    yield
    for handler in [*root.handlers]:
        if type(handler) is logging.StreamHandler and handler not in before:
            root.removeHandler(handler)


class _Unsynced(sqlite3.Connection):
    """A database that doesn't wait for the disk, whatever it is told."""

    def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        return super().execute(re.sub("(synchronous) = .*", r"\1 = OFF", sql), *values)


@pytest.fixture(scope="module")
def no_waiting_for_the_disk() -> Iterator[None]:
    """What crashes do is tested with real ones elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        patch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=_Unsynced))
        yield
