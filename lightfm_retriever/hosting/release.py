"""The release of this software."""

from __future__ import annotations

import functools
import importlib.metadata

from lightfm_retriever.hosting.extras import DISTRIBUTION


@functools.cache
def release() -> str:
    """Return the version of the installed distribution, such as "0.1.0"; "unknown" in a checkout."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
