"""Imports a library without its advice on standard error."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_STANDARD_ERROR = 2


@contextmanager
def without_lines(*beginnings: str) -> Iterator[None]:
    """Leave out lines of standard error that begin so, from C++ too.

    Other lines come at the end, since another thread may write some of them.
    """
    try:
        kept = os.dup(_STANDARD_ERROR)
    except OSError:
        # It is closed, so no line can show.
        yield
        return
    left_out = tuple(beginning.encode() for beginning in beginnings)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), _STANDARD_ERROR)
        try:
            yield
        finally:
            os.dup2(kept, _STANDARD_ERROR)
            os.close(kept)
            file.seek(0)
            for line in file:
                if not line.startswith(left_out):
                    os.write(_STANDARD_ERROR, line)
