"""What can be wrong with how a service is to be run."""

from __future__ import annotations


class HostingError(Exception):
    """Base of this package's errors; the text names the flag, file or key, and what to do."""
