"""What the kernel says of a process's memory."""

from __future__ import annotations

import os

from retriever.memory import pss_bytes


def test_a_process_needs_memory_and_what_it_allocates_counts():
    before = pss_bytes()
    assert before > 1 << 20
    held = bytearray(os.urandom(64 << 20))
    assert 60 << 20 < pss_bytes() - before < 80 << 20
    assert len(held) == 64 << 20


def test_a_process_that_is_gone_has_none():
    assert pss_bytes(2**22 + 1) == 0
