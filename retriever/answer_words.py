"""Enums that tell how an answer was found.

The proto has the same names with a prefix: `Source.FOLDED_IN` is `SOURCE_FOLDED_IN`.
"""

from __future__ import annotations

from enum import StrEnum, auto


class Source(StrEnum):
    """The value that an answer is ranked by."""

    PERSONALIZED = auto()
    FOLDED_IN = auto()
    FEATURES = auto()
    POPULAR = auto()
    SIMILAR = auto()


class SearchMethod(StrEnum):
    """How an answer was found: the index proposed candidates, or all allowed items were scored."""

    INDEX = auto()
    EXACT = auto()


class ShortReason(StrEnum):
    """Why an answer has fewer results than the limit."""

    CATALOGUE = auto()
    EXCLUSIONS = auto()
    FILTER = auto()
    PAGE_LIMIT = auto()
    NO_EVIDENCE = auto()
