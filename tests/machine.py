"""What a figure was measured on."""

import os
import platform


def machine_name() -> str:
    """Its kind, its cores, and the Python that ran."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
