"""Which release of this software runs."""

from __future__ import annotations

import functools
import importlib.metadata

from lightfm_retriever.hosting.extras import DISTRIBUTION

UNKNOWN = "unknown"
"""What a checkout that isn't installed says."""


@functools.cache
def release() -> str:
    """Say the version of the installed distribution, such as "0.1.0"."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return UNKNOWN
