"""The words by which answers tell how they were found.

The protocol's enums have the same names behind a prefix: `Source.FOLDED_IN` is `SOURCE_FOLDED_IN`.
"""

from __future__ import annotations

from enum import StrEnum, auto


class Source(StrEnum):
    """What an answer is ranked by."""

    PERSONALIZED = auto()
    FOLDED_IN = auto()
    FEATURES = auto()
    POPULAR = auto()
    SIMILAR = auto()


class SearchMethod(StrEnum):
    """How an answer was searched: the index proposed candidates, or every allowed item was ranked."""

    INDEX = auto()
    EXACT = auto()


class ShortReason(StrEnum):
    """Why an answer has fewer results than were asked for."""

    CATALOGUE = auto()
    EXCLUSIONS = auto()
    FILTER = auto()
    PAGE_LIMIT = auto()
