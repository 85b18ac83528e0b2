"""One line to standard error for each event."""

from __future__ import annotations

import logging
import os


def configure(role: str) -> None:
    """Log from now on, with time, level, role and process id."""
    logging.basicConfig(
        level=logging.INFO,
        format=f"%(asctime)s %(levelname)s {role} [{os.getpid()}] %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S%z",
        force=True,
    )
    # It tells which of its libraries it can't load before it tells which it can.
    logging.getLogger("faiss").setLevel(logging.WARNING)
