"""Read a page of the documents as steps: files to write, commands to run, code to run.

A code block has a language, which decides how it is run. A comment before it may add something:

    <!-- file: NAME -->    the block is the content of a file
    <!-- not run: REASON -->     the block isn't run
    <!-- given: demo service --> what the page needs before its first step
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["console", "bash", "python", "file"]

GIVEN = ("demo volume", "demo service", "trainer service")
_NOT_RUN = {"csv", "java", "js", "json", "mermaid", "proto", "sql", "text", "toml", "yaml"}
_LEAST_REASON = 3
_RUN = {"console": "console", "bash": "bash", "python": "python"}
_FENCE = re.compile(r"^( *)(`{3,})\s*(\S*).*$")
_OTHER_FENCE = re.compile(r"^ *(~{3,}|>.*(`{3}|~{3}))")
_NOTE = re.compile(r"^ *<!-- *(file|not run|given): *(.*?) *-->$")
_PROMPT = "$ "


@dataclass
class Command:
    """A command of a console block, and the lines of its output from line number `at` on."""

    text: str
    output: list[str] = field(default_factory=list)
    at: int = 0


@dataclass
class Step:
    """A code block that is run, or written to a file.

    Attributes:
        kind: how it is run; "file" writes it to `name`.
        text: its content.
        at: the number of its first line, counted from 0.
        indent: the indentation of its lines.
        commands: the commands of a console block.
        output: the expected output of Python code, from the text block after it; None for none.
    """

    kind: Kind
    text: str
    at: int
    indent: int = 0
    name: str = ""
    commands: list[Command] = field(default_factory=list)
    output: Command | None = None


@dataclass
class Page:
    """A page and its steps."""

    path: Path
    lines: list[str]
    steps: list[Step]
    given: list[str]


class PageError(Exception):
    """A mistake in a page, so that its steps can't be run."""


def read_page(path: Path) -> Page:
    """Read a page. Raises PageError with the wrong line."""
    lines = path.read_text("utf-8").splitlines()
    page = Page(path, lines, [], [])
    note: tuple[str, str] | None = None
    last: Step | None = None
    for at, indent, language, block in _blocks(lines, page):
        note = _note_before(lines, at - 1)
        if note is not None and note[0] == "not run":
            if len(note[1].split()) < _LEAST_REASON:
                raise PageError(f"{path}:{at}: say in a few words why this isn't run")
            last = None
        elif note is not None and note[0] == "file":
            page.steps.append(Step("file", "\n".join(block) + "\n", at, indent, note[1]))
        elif language == "text" and last is not None and last.kind == "python":
            last.output = Command("", block, at)
            last = None
        elif language in _RUN:
            last = Step(_RUN[language], "\n".join(block), at, indent)  # type: ignore[arg-type]
            last.commands = list(_commands(path, block, at)) if language == "console" else []
            page.steps.append(last)
        elif language in _NOT_RUN:
            last = None
        else:
            known = ", ".join([*_RUN, *sorted(_NOT_RUN)])
            raise PageError(f"{path}:{at}: a block of {language!r} isn't run: name one of {known}")
    return page


def _blocks(lines: list[str], page: Page) -> Iterator[tuple[int, int, str, list[str]]]:
    """Yield first line number, indentation, language and lines of each block."""
    at = 0
    while at < len(lines):
        if found := _NOTE.match(lines[at]):
            if found[1] == "given":
                if found[2] not in GIVEN:
                    raise PageError(f"{page.path}:{at + 1}: given are {', '.join(GIVEN)}")
                page.given.append(found[2])
            at += 1
            continue
        if _OTHER_FENCE.match(lines[at]):
            raise PageError(
                f"{page.path}:{at + 1}: begin a block with three backticks, outside of quotes"
            )
        opening = _FENCE.match(lines[at])
        if not opening:
            at += 1
            continue
        indent, fence = len(opening[1]), opening[2]
        end = next(
            (row for row in range(at + 1, len(lines)) if lines[row].strip() == fence), len(lines)
        )
        yield at + 1, indent, opening[3], [line[indent:] for line in lines[at + 1 : end]]
        at = end + 1


def _note_before(lines: list[str], fence: int) -> tuple[str, str] | None:
    row = fence - 1
    while row >= 0 and not lines[row].strip():
        row -= 1
    found = _NOTE.match(lines[row]) if row >= 0 else None
    return (found[1], found[2]) if found and found[1] != "given" else None


def _commands(path: Path, block: list[str], at: int) -> Iterator[Command]:
    current: Command | None = None
    goes_on = False
    for row, line in enumerate(block):
        if goes_on and current is not None:
            current.text += f"\n{line}"
            current.at = at + row + 1
        elif line.startswith(_PROMPT):
            if current is not None:
                yield current
            current = Command(line.removeprefix(_PROMPT), at=at + row + 1)
        elif current is None:
            raise PageError(f"{path}:{at + row + 1}: a block of console begins with '$ '")
        else:
            current.output.append(line)
            continue
        goes_on = line.endswith("\\")
    if current is not None:
        yield current
