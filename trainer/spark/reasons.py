"""Finds the reason of a Spark error, in one line: Spark's own text has hundreds of lines."""

from __future__ import annotations

import re
from pathlib import Path

from lightfm_retriever.files.regular_files import read_regular

_MAX = 400
_TAIL_BYTES = 1 << 20
# "ValueError: ..." at the end of a Python traceback, or a Java error with its text.
_PYTHON = re.compile(
    r"^(?:[a-z_]\w*\.)*([A-Z]\w*(?:Error|Exception|Exit|Interrupt))(: .*)?$", re.MULTILINE
)
_JAVA = re.compile(r"(?:[a-z_][\w$]*\.)*([A-Z][\w$]*)(: .*)?")
# Also the first error, which has no "Caused by", unless it is of a job: that one repeats all others.
_JAVA_CAUSE = re.compile(rf"^(?:Caused by)?: (?!.*Job aborted){_JAVA.pattern}$", re.MULTILINE)
_FATAL = re.compile(r"^(?:java\.[\w.]*)?\w+Error\b.*")
_GIVEN_UP = re.compile(r"Application has been killed\. Reason: (.*)")
_LOG_PROBLEM = re.compile(r"(?:ERROR|Exception|Error)\b.*")


def reason_of(error: BaseException, log: Path) -> str:
    """Return the innermost cause in one line; if Java has ended, the last problem of its log."""
    text = _text(error)
    fatal = next(filter(_FATAL.match, _lines(log)), None)
    if "SparkContext was shut down" in text and fatal is not None:
        return _line(f"it was shut down: {fatal}")
    if isinstance(error, ConnectionError) or "Answer from Java side is empty" in text or not text:
        return _line(f"its process ended: {_last_problem(log)}")
    if "JAVA_GATEWAY_EXITED" in text:
        return _line(f"Java can't be started: {_last_problem(log)}")
    head = text.partition("\nDriver stacktrace")[0]
    if "Traceback (most recent call last)" in head and (found := [*_PYTHON.finditer(head)]):
        return _line(_plain(found[-1]))
    if found := [*_JAVA_CAUSE.finditer(text)]:
        inmost = (found[-1][2] or "").removeprefix(": ")
        # "Cannot run program X: error=2, not found" says more than its cause, "error=2, not found".
        return _line(_plain(next(cause for cause in found if inmost in (cause[2] or ""))))
    lines = [line for line in head.splitlines() if line.strip() and not _is_frame(line)]
    # Py4J's first line doesn't help: "An error occurred while calling o73.fit."
    if len(lines) > 1 and lines[0].startswith("An error occurred while calling"):
        lines = lines[1:]
    first = lines[0].removeprefix(": ") if lines else "an unexpected error"
    return _line(_plain(named) if (named := _JAVA.fullmatch(first)) else first)


def _last_problem(log: Path) -> str:
    """Return the last line of a log that reports a problem, or else the last line."""
    lines = _lines(log)
    for line in lines:
        if (given_up := _GIVEN_UP.search(line)) is not None:
            return given_up[1]
    told = [line for line in lines if _LOG_PROBLEM.search(line) and not _is_frame(line)]
    return (told or lines or ["its log has no lines"])[-1]


def _lines(log: Path) -> list[str]:
    try:
        return read_regular(log)[-_TAIL_BYTES:].decode("utf-8", "replace").strip().splitlines()
    except OSError:
        return []


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # Py4J asks Java for the text, and Java may have ended
        return ""


def _plain(found: re.Match[str]) -> str:
    """Return an error's text without the packages of its class."""
    return f"{found[1]}{found[2] or ''}"


def _is_frame(line: str) -> bool:
    return line.lstrip().startswith(("at ", "... "))


def _line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX else f"{line[: _MAX - 3]}..."
