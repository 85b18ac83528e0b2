"""What is logged, and how."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

FORMATS = ("console", "json")
LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, kw_only=True)
class LogSettings:
    """What the flags say.

    Attributes:
        format: "console" for people, "json" for machines.
        level: what is less than this isn't logged.
        access: whether each call is logged.
    """

    format: str = "console"
    level: str = "info"
    access: bool = False


def configure(role: str, settings: LogSettings) -> None:
    """Log to standard error from now on, with time, level, role and process id."""
    logging.basicConfig(
        level=settings.level.upper(),
        format=f"%(asctime)s %(levelname)s {role} [{os.getpid()}] %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S%z",
        force=True,
    )
    # It tells which of its libraries it can't load before it tells which it can.
    logging.getLogger("faiss").setLevel(logging.WARNING)
