"""What the kernel says of a process's memory."""

from __future__ import annotations

import subprocess
import sys

from retriever.memory import pss_bytes

# In a process of its own: in this one, what other tests have left is let go at any time.
CODE = """
from retriever.memory import pss_bytes
before = pss_bytes()
held = bytearray(b"x") * (64 << 20)
print(before, pss_bytes() - before, len(held))
"""


def test_a_process_needs_memory_and_what_it_allocates_counts():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    before, more, held = map(int, done.stdout.split())
    assert before > 1 << 20
    assert held == 64 << 20
    assert 60 << 20 < more < 80 << 20


def test_a_process_that_is_gone_has_none():
    assert pss_bytes(2**22 + 1) == 0
