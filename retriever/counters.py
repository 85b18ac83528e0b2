"""The counters of a worker, in memory that it shares with the parent and that outlives it.

A killed worker loses no counts: the next process of its slot continues them. Reading doesn't block a
worker. Only the process of a slot writes. It stores each number in one step, so a reader never sees
half of it.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import threading
from bisect import bisect_left
from collections.abc import Iterable
from hashlib import blake2b
from itertools import product
from typing import Protocol, Self, TypeAlias

from retriever.answer_words import SearchMethod, ShortReason, Source

# The methods of the service and the status codes of gRPC. They are repeated here because the parent
# reads the counters and imports neither.
METHODS = ("SimilarItems", "Recommend", "BatchSimilarItems", "BatchRecommend", "GetStatus")
CODES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
    "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip

# Upper bounds of the histogram of durations, in seconds. One more bucket counts longer calls.
BOUNDS = (
    0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
)  # fmt: skip
BUCKETS = tuple(range(len(BOUNDS) + 1))

Key: TypeAlias = tuple[str | int, ...]

# The keys of all counts, in the order in which they are stored, 8 bytes each.
_KEYS: tuple[Key, ...] = (
    *product(["calls"], METHODS, CODES),
    *product(["durations"], METHODS, BUCKETS),
    *product(["nanoseconds"], METHODS),
    *product(["candidates"], METHODS),
    *product(["answers"], METHODS, Source, SearchMethod),
    *product(["short"], METHODS, ShortReason),
    ("samples",),
    ("skipped",),
    # Of the samples of one version; the last is the fingerprint of its name.
    ("found",),
    ("expected",),
    ("version",),
)
_PLACES = {key: place for place, key in enumerate(_KEYS)}
_BYTES = 8 * len(_PLACES)
# The places that each call and answer adds to, found by one look-up.
_OF_CALLS = {
    (method, code): (
        _PLACES["calls", method, code],
        _PLACES["durations", method, 0],
        _PLACES["nanoseconds", method],
    )
    for method, code in product(METHODS, CODES)
}
_OF_ANSWERS = {
    (method, source, search is SearchMethod.EXACT): (
        _PLACES["answers", method, source, search],
        _PLACES["candidates", method],
    )
    for method, source, search in product(METHODS, Source, SearchMethod)
}


class Counted(Protocol):
    """The facts of an answer that are counted."""

    @property
    def source(self) -> Source: ...
    @property
    def exact(self) -> bool: ...
    @property
    def candidates(self) -> int: ...
    @property
    def short(self) -> ShortReason | None: ...


class Counters:
    """The counts of one worker slot. Any thread may call any method."""

    def __init__(self, descriptor: int) -> None:
        """Map memory that `create` made. The caller keeps the descriptor."""
        self.descriptor = descriptor
        self._numbers = memoryview(mmap.mmap(descriptor, _BYTES)).cast("Q")
        self._lock = threading.Lock()

    @classmethod
    def create(cls) -> Self:
        """Create counters at 0, in memory whose `descriptor` can be passed to another process."""
        descriptor = os.memfd_create("counters", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(descriptor, _BYTES)
        # Without the seals, another process could shrink the memory, which would kill readers.
        seals = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        return cls(descriptor)

    def ended(self, method: str, code: str, seconds: float | None) -> None:
        """Count a call and its duration. `seconds` is None for a call that was refused unread.

        Methods of other services, such as health, aren't counted.
        """
        places = _OF_CALLS.get((method, code))
        if places is None:
            return
        call, shortest, nanoseconds = places
        numbers = self._numbers
        with self._lock:
            numbers[call] += 1
            if seconds is not None:
                numbers[shortest + bisect_left(BOUNDS, seconds)] += 1
                numbers[nanoseconds] += int(seconds * 1e9)

    def answered(self, method: str, answers: Iterable[Counted]) -> None:
        """Count the answers of a call: one, or those of a batch."""
        numbers = self._numbers
        with self._lock:
            for answer in answers:
                place, candidates = _OF_ANSWERS[method, answer.source, answer.exact]
                numbers[place] += 1
                numbers[candidates] += answer.candidates
                if answer.short is not None:
                    numbers[_PLACES["short", method, answer.short]] += 1

    def serve(self, version: str) -> None:
        """Count recall for this version from now on. If it is already counted, its counts stay."""
        numbers, fingerprint = self._numbers, _fingerprint(version)
        with self._lock:
            if numbers[_PLACES["version",]] != fingerprint:
                numbers[_PLACES["found",]] = numbers[_PLACES["expected",]] = 0
                numbers[_PLACES["version",]] = fingerprint

    def sampled(self, version: str, *, found: int, expected: int) -> None:
        """Count a compared answer: how many of the expected items it had."""
        numbers = self._numbers
        with self._lock:
            numbers[_PLACES["samples",]] += 1
            if numbers[_PLACES["version",]] == _fingerprint(version):
                numbers[_PLACES["found",]] += found
                numbers[_PLACES["expected",]] += expected

    def skipped(self) -> None:
        """Count a sampled answer that wasn't compared."""
        with self._lock:
            self._numbers[_PLACES["skipped",]] += 1

    def read(self) -> dict[Key, int]:
        """Return all counts. Related counts may differ by one call, because reading doesn't block."""
        return dict(zip(_PLACES, self._numbers.tolist(), strict=True))


def recall(of_slots: Iterable[dict[Key, int]], version: str) -> float | None:
    """Return the recall of a version's answers; None before any was compared."""
    fingerprint = _fingerprint(version)
    own = [counts for counts in of_slots if counts["version",] == fingerprint]
    expected = sum(counts["expected",] for counts in own)
    return sum(counts["found",] for counts in own) / expected if expected else None


def _fingerprint(version: str) -> int:
    return int.from_bytes(blake2b(version.encode(), digest_size=8).digest(), "little")
