"""Compare a recorded output with a fresh one: the same words, and numbers near where they matter.

Whole numbers are equal. Decimals with three digits or more after the point, such as scores, may differ
a little between processors. In a line that measures something (ms, MB, a pid), numbers differ on
every run, and so do the columns below a heading that does. Names of versions and times differ, too.
"""

import re
from collections.abc import Sequence

ELLIPSIS = "..."
_COUNTED = (
    "attributes?|candidates?|epochs?|events?|features?|films?|filtered|interactions?|items?|results?|"
    "rows?|users?|versions?|workers?"
)
_MASKS = (
    (re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6,8}\b"), "<version>"),
    (re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?"), "<time>"),
    (re.compile(r"\d{4}-\d\d-\d\d"), "<date>"),
    (re.compile(r"\b[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}\b"), "<id>"),
    (re.compile(r"(\bpid |\[)\d+\b"), r"\1<pid>"),
    (re.compile(r"\b\d[\d,.]* (µs|ms|s|kB|MB|GB)\b"), r"<measured> \1"),
    (re.compile(r"/\S*/(?=[\w.-]+)"), "<folder>/"),
)
_NUMBER = re.compile(r"(?<![@\w])[-+]?\d[\d,]*(?:\.\d+)?")
_COUNT = re.compile(rf"([-+]?\d[\d,]*(?:\.\d+)?) (?:[a-z]+ )?(?:{_COUNTED})\b")
# Only a progress bar holds one of these.
_BAR = re.compile(r"[━╸╺]")
# What follows a number that is measured, or heads a column of such numbers.
_MEASURED = re.compile(r"\b(µs|ms|s|seconds|[kMG]B|PSS|pid|port|a second)\b|/s\b|%")
_NEAR = 0.03
_NEAR_ZERO = 0.01
_LEAST_DIGITS = 3


def said(output: str) -> list[str]:
    """Return the lines of an output, without progress bars and trailing space."""
    lines = [line.rstrip() for line in output.replace("\r", "\n").splitlines() if not _BAR.search(line)]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def same(recorded: str, fresh: str, *, measured: bool = False) -> bool:
    """Whether two lines say the same; of numbers that are `measured` only counts and scores matter."""
    recorded, fresh = _masked(recorded), _masked(fresh)
    if _NUMBER.sub("#", recorded).split() != _NUMBER.sub("#", fresh).split():
        return False
    if _COUNT.findall(recorded) != _COUNT.findall(fresh):
        return False
    pairs = zip(_NUMBER.findall(recorded), _NUMBER.findall(fresh), strict=True)
    return all(_near(*pair, measured=measured) for pair in pairs)


def matched(recorded: Sequence[str], fresh: Sequence[str]) -> list[str] | None:
    """The recorded lines with the numbers of the fresh ones; None where they don't say the same.

    A line of "..." stands for any lines, also none.
    """
    return _matched(recorded, fresh, below_measured=False)


def _matched(
    recorded: Sequence[str], fresh: Sequence[str], *, below_measured: bool
) -> list[str] | None:
    if not recorded:
        return [] if not fresh else None
    if recorded[0].strip() == ELLIPSIS:
        for left_out in range(len(fresh) + 1):
            rest = _matched(recorded[1:], fresh[left_out:], below_measured=below_measured)
            if rest is not None:
                return [recorded[0], *rest]
        return None
    measured = below_measured or bool(_MEASURED.search(recorded[0]))
    if not fresh or not _line_same(recorded[0], fresh[0], measured=measured):
        return None
    # A heading without numbers measures what is below it.
    heading = bool(_MEASURED.search(recorded[0])) and not _NUMBER.search(_masked(recorded[0]))
    rest = _matched(recorded[1:], fresh[1:], below_measured=below_measured or heading)
    return None if rest is None else [_shown(recorded[0], fresh[0]), *rest]


def _line_same(recorded: str, fresh: str, *, measured: bool) -> bool:
    # A recorded line may leave out the end of a long line.
    if recorded.rstrip().endswith(f" {ELLIPSIS}"):
        start = recorded.rstrip().removesuffix(ELLIPSIS).split()
        return same(" ".join(start), " ".join(fresh.split()[: len(start)]), measured=measured)
    return same(recorded, fresh, measured=measured)


def _shown(recorded: str, fresh: str) -> str:
    if not recorded.rstrip().endswith(f" {ELLIPSIS}"):
        return fresh
    start = recorded.rstrip().removesuffix(ELLIPSIS).split()
    words = " ".join(fresh.split()[: len(start)])
    # A row of a table keeps its spaces.
    return f"{words} {ELLIPSIS}" if words in fresh else recorded


def _masked(line: str) -> str:
    for pattern, mask in _MASKS:
        line = pattern.sub(mask, line)
    return line


def _near(recorded: str, fresh: str, *, measured: bool) -> bool:
    first, second = (float(own.replace(",", "")) for own in (recorded, fresh))
    _, _, decimals = recorded.partition(".")
    if len(decimals) >= _LEAST_DIGITS:
        return abs(first - second) <= _NEAR * max(abs(first), abs(second)) + _NEAR_ZERO
    return measured or first == second
