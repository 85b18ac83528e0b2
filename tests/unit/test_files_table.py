"""The README of lightfm_retriever.publication has every file of a version."""

from __future__ import annotations

import runpy
from pathlib import Path

SCRIPT = runpy.run_path(str(Path(__file__).parents[2] / "docs/files.py"))
PAGE = SCRIPT["PAGE"].read_text("utf-8")


def test_the_table_is_fresh():
    assert SCRIPT["with_table"](PAGE) == PAGE, "run 'make files'"


def test_a_stale_table_is_noticed():
    stale = PAGE.replace(
        "| `item_norms.npy` | float32 (items) |", "| `item_norms.npy` | float64 (items) |"
    )
    assert stale != PAGE
    assert SCRIPT["with_table"](stale) == PAGE
