"""Checks prose by the rules of `rules.toml`: with proselint, and with checks of our own."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from proselint.checks import __register__ as proselint_checks
from proselint.config import Config
from proselint.registry import CheckRegistry
from proselint.registry.checks import Check, CheckResult
from proselint.registry.checks.engine import Fancy, RegexOptions
from proselint.registry.checks.types import ExistenceSimple
from proselint.tools import LintFile

from tests.prose.texts import BREAK, blank, prose

RULES = Path(__file__).parent / "rules.toml"
_SWITCH = re.compile(r"^ *(?:<!--|#|//) prose: (on|off\b[:,]? *(.*?)) *(?:-->)?$", re.MULTILINE)
_END_OF_SENTENCE = re.compile(r"[.!?][\"')\]]*\s+|\n[ \t]*\n|" + BREAK)
_GAP = re.compile(r"[ \n]{2,}")
_NOTHING = f" \n{BREAK}"
_WORD = re.compile(r"[^\s\W]\S*")


class Finding(NamedTuple):
    """A place in a file, and the words to write there instead."""

    line: int
    column: int
    rule: str
    message: str


def findings(name: str, text: str) -> list[Finding]:
    """Check one file's prose."""
    text, found = _without_exempt(text)
    close, places = _close_up(prose(name, text))
    if not close.strip(_NOTHING):
        return found
    for result, _ in LintFile(name, close).lint(_configured()):
        # LintFile puts the end of a line before the text.
        begin, end = (max(one - 1, 0) for one in result.span)
        own = close[begin:end].strip(f"x0123456789{_NOTHING}")
        # A word that ends one paragraph or cell, and begins the next one, isn't repeated.
        if own and (result.check_path.startswith("house.") or not re.search(f"{BREAK}|\n\n", own)):
            at = places[begin]
            line, start = text.count("\n", 0, at) + 1, text.rfind("\n", 0, at) + 1
            message = " ".join(result.message.split())
            found.append(Finding(line, at - start + 1, result.check_path, message))
    return sorted(set(found))


def _close_up(masked: str) -> tuple[str, list[int]]:
    """Shorten blank parts, which are most of a source file; also return each character's place."""
    parts, places, since = [], [], 0
    for gap in _GAP.finditer(masked):
        parts += [masked[since : gap.start()], "\n\n" if gap[0].count("\n") > 1 else " "]
        places += [*range(since, gap.start()), *[gap.start()] * len(parts[-1])]
        since = gap.end()
    return "".join(parts) + masked[since:], [*places, *range(since, len(masked) + 1)]


def _without_exempt(text: str) -> tuple[str, list[Finding]]:
    """Blank the text between the marks `prose: off, REASON` and `prose: on`."""
    found, kept, since, off = [], [], 0, False
    for switch in _SWITCH.finditer(text):
        part = text[since : switch.start()]
        kept.append(blank(part) if off else part)
        since, off = switch.start(), switch[1] != "on"
        if off and not switch[2]:
            line = text.count("\n", 0, since) + 1
            found.append(Finding(line, 1, "house.off", "Say why, after 'prose: off,'."))
    kept.append(blank(text[since:]) if off else text[since:])
    return "".join(kept), found


@cache
def _configured() -> Config:
    """Register all checks with proselint, once, and say which are switched on."""
    rules = tomllib.loads(RULES.read_text("utf-8"))
    registry = CheckRegistry()
    registry.register_many(proselint_checks)
    registry.register_many(tuple(_own_checks(rules)))
    off = dict.fromkeys(rules["off"], False)
    top = {check.path.partition(".")[0]: True for check in registry.checks}
    # proselint takes the first match, so longer paths come first.
    checks = dict(sorted({**top, **off}.items(), key=lambda own: -own[0].count(".")))
    return {"max_errors": 100_000, "checks": checks}


def _own_checks(rules: dict[str, Any]) -> Iterator[Check]:
    most = rules["most_words"]

    def long_sentences(text: str, check: Check) -> Iterator[CheckResult]:
        since = 0
        for end in [*(found.end() for found in _END_OF_SENTENCE.finditer(text)), len(text)]:
            count = len(words := [*_WORD.finditer(text, since, end)])
            if count > most:
                message = f"A sentence of {count} words; {most} are the most. Make two of it."
                yield CheckResult(check.path, message, (words[0].start(), end), None)
            since = end

    yield Check(long_sentences, path="house.sentence")
    for name, rule in rules["words"].items():
        yield Check(
            ExistenceSimple(rule["find"]),
            engine=Fancy(RegexOptions(case_insensitive=not rule.get("case", False))),
            path=f"house.{name}",
            message=rule["write"].replace("{", "{{").replace("}", "}}"),
        )
