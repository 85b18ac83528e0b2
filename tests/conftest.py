"""Settings that all tests share."""

from __future__ import annotations

from hypothesis import settings

# A slow machine is no failure; the tests' time is bounded by pytest-timeout.
settings.register_profile("tests", deadline=None, print_blob=True)
settings.load_profile("tests")
