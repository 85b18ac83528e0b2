"""Which release of this software runs."""

from __future__ import annotations

import functools
import importlib.metadata

from lightfm_retriever.hosting.extras import DISTRIBUTION


@functools.cache
def release() -> str:
    """Say the version of the installed distribution, such as "0.1.0"; "unknown" of a mere checkout."""
    try:
        return importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
