"""Compare a recorded output with a fresh one: the same words, and equal or similar numbers.

Numbers that count something (users, items, interactions) must be equal. Decimals with three or more
digits after the point, such as scores, may differ a little between processors. Times, sizes, ports and
names of versions differ on every run.
"""

import re
from collections.abc import Sequence

ELLIPSIS = "..."
_COUNTED = (
    "attributes?|epochs?|events?|features?|films?|interactions?|items?|results?|rows?|users?|"
    "versions?|workers?"
)
_MASKS = (
    (re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6,8}\b"), "<version>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "<date>"),
    (re.compile(r"\b[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"\b(pid |\[)\d+"), r"\1<pid>"),
    (re.compile(r"/\S*/(?=[\w.-]+)"), "<folder>/"),
)
_NUMBER = re.compile(r"[-+]?\d[\d,]*(?:\.\d+)?")
_COUNT = re.compile(rf"([-+]?\d[\d,]*(?:\.\d+)?) (?:[a-z]+ )?(?:{_COUNTED})\b")
# Only a progress bar holds one of these.
_BAR = re.compile(r"[━╸╺]")
_NEAR = 0.1
_LEAST_DIGITS = 3


def said(output: str) -> list[str]:
    """Return the lines of an output, without progress bars and trailing space."""
    lines = [line.rstrip() for line in output.replace("\r", "\n").splitlines() if not _BAR.search(line)]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def same(recorded: str, fresh: str) -> bool:
    """Return whether two lines say the same."""
    recorded, fresh = _masked(recorded), _masked(fresh)
    if _NUMBER.sub("#", recorded).split() != _NUMBER.sub("#", fresh).split():
        return False
    if _COUNT.findall(recorded) != _COUNT.findall(fresh):
        return False
    pairs = zip(_NUMBER.findall(recorded), _NUMBER.findall(fresh), strict=True)
    return all(_near(*pair) for pair in pairs)


def matched(recorded: Sequence[str], fresh: Sequence[str]) -> list[str] | None:
    """Return the recorded lines with fresh values; None if the outputs don't say the same.

    A line of "..." stands for any number of lines, including none.
    """
    if not recorded:
        return [] if not fresh else None
    if recorded[0].strip() == ELLIPSIS:
        for left_out in range(len(fresh) + 1):
            rest = matched(recorded[1:], fresh[left_out:])
            if rest is not None:
                return [recorded[0], *rest]
        return None
    if not fresh or not _line_same(recorded[0], fresh[0]):
        return None
    rest = matched(recorded[1:], fresh[1:])
    return None if rest is None else [_shown(recorded[0], fresh[0]), *rest]


def _line_same(recorded: str, fresh: str) -> bool:
    # A recorded line may leave out the end of a long line.
    if recorded.rstrip().endswith(f" {ELLIPSIS}"):
        start = recorded.rstrip().removesuffix(ELLIPSIS).split()
        return same(" ".join(start), " ".join(fresh.split()[: len(start)]))
    return same(recorded, fresh)


def _shown(recorded: str, fresh: str) -> str:
    return recorded if recorded.rstrip().endswith(f" {ELLIPSIS}") else fresh


def _masked(line: str) -> str:
    for pattern, mask in _MASKS:
        line = pattern.sub(mask, line)
    return line


def _near(recorded: str, fresh: str) -> bool:
    _, _, decimals = recorded.partition(".")
    if len(decimals) < _LEAST_DIGITS:
        return True
    first, second = (float(own.replace(",", "")) for own in (recorded, fresh))
    return abs(first - second) <= _NEAR * max(1, abs(first), abs(second))
