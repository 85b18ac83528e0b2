"""Finds the prose in a file, and keeps its position.

Each function returns a text as long as the file's. Everything else is blank, so the position of a word
in it is the position of that word in the file. The character `BREAK` separates texts that aren't parts
of one sentence, such as the cells of a table.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

BREAK = "\x1f"
"""A separator that counts as space. str.splitlines doesn't split at it."""

_HELP_KEYWORDS = frozenset({"description", "epilog", "expected", "help"})
_FENCE = re.compile(r"\s*(```+|~~~+)")
_INDENTED = re.compile(r" {4}\s*\S")
_ITEM = re.compile(r"\s*(?:[-*+]|\d+[.)]) ")
_HEADING = re.compile(r"#+ ")
_TABLE_RULE = re.compile(r"[\s|:-]*-[\s|:-]*")
_NAMED = re.compile(r" {4}\**\w[\w*, `]*: ")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_TARGET = re.compile(r"\]\([^)\s]*\)|<?\w+://[^\s)>]+>?")
_MARKUP = re.compile(r"</?\w[^>\n]*>|[*\[\]!]|^ *>", re.MULTILINE)
_LITERAL = re.compile(r"""([A-Za-z]*)(\"{3}|'{3}|"|')((?:\\.|(?!\2).)*)\2""", re.DOTALL)
_PROTO_COMMENT = re.compile(r"(?<!:)//(?! buf:lint)([^\n]*)")


def prose(name: str, text: str) -> str:
    """Find the prose of a file by its name."""
    if name.endswith(".py"):
        return _of_python(text)
    if name.endswith(".proto"):
        return _of_proto(text)
    if name.endswith("CHANGELOG.md"):
        return _markdown(_unreleased(text))
    return _markdown(text)


def blank(text: str) -> str:
    """Replace all but the ends of lines by spaces."""
    return re.sub(r"[^\n]", " ", text)


def _unreleased(text: str) -> str:
    """Blank all of a changelog but its first section: releases are history."""
    begin = text.find("\n## Unreleased")
    end = text.find("\n## ", begin + 1)
    if begin < 0:
        return blank(text)
    end = len(text) if end < 0 else end
    return blank(text[:begin]) + text[begin:end] + blank(text[end:])


def _markdown(text: str, indent: int = 0) -> str:
    """Blank code, and the marks of Markdown; the text may be indented as a docstring is."""
    text = _COMMENT.sub(lambda found: blank(found[0]), text)
    lines, fence, code, after_blank, in_list = [], "", False, True, False
    for line in text.splitlines(keepends=True):
        own = line[indent:] if not line[:indent].strip() else line
        mark = _FENCE.match(own)
        if fence or mark:
            if mark and not fence:
                fence = mark[1]
            elif mark and mark[1].startswith(fence):
                fence = ""
            lines.append(blank(line))
            continue
        if not own.strip():
            after_blank = True
            lines.append(blank(line))
            continue
        code = bool(_INDENTED.match(own)) and (code or after_blank) and not in_list
        in_list = bool(_ITEM.match(own)) or (in_list and not (after_blank and own[:1].strip()))
        after_blank = False
        lines.append(blank(line) if code else line[: len(line) - len(own)] + _without_marks(own))
    masked = _CODE.sub(lambda found: _word(found[0]), "".join(lines))
    masked = _TARGET.sub(
        lambda found: _word(found[0]) if "://" in found[0] else blank(found[0]), masked
    )
    return _MARKUP.sub(lambda found: blank(found[0]), masked)


def _without_marks(line: str) -> str:
    """Replace the marks of lists, headings, tables and docstrings' attributes by breaks."""
    if _TABLE_RULE.fullmatch(line):
        return blank(line)
    if found := _ITEM.match(line) or _NAMED.match(line):
        line = BREAK + blank(found[0])[1:] + line[found.end() :]
    if found := _HEADING.match(line):
        return BREAK + blank(found[0])[1:] + line[found.end() :]
    return line.replace("|", BREAK) if line.lstrip().startswith("|") else line


def _word(text: str) -> str:
    """Replace a piece of code by a word of its length."""
    return re.sub(r"[^\n]", "x", text)


def _of_proto(text: str) -> str:
    """Keep the comments; a comment at the end of a line stands alone."""
    masked = list(blank(text))
    for found in _PROTO_COMMENT.finditer(text):
        start = text.rfind("\n", 0, found.start()) + 1
        begin, end = found.span(1)
        masked[begin:end] = found[1]
        if text[start : found.start()].strip():
            masked[found.start()] = masked[found.start() + 1] = BREAK
            masked[begin:end] = found[1].rstrip() + BREAK * (len(found[1]) - len(found[1].rstrip()))
    return _CODE.sub(lambda found: _word(found[0]), "".join(masked))


def _of_python(text: str) -> str:
    """Keep the public docstrings, and the texts that a command's help shows."""
    masked = list(blank(text))
    starts = [0]
    starts.extend(found.end() for found in re.finditer("\n", text))

    def place(line: int, column: int) -> int:
        """Convert a position of the syntax tree, whose columns count bytes."""
        start = starts[line - 1]
        return start + len(text[start : start + column].encode()[:column].decode(errors="ignore"))

    tree = ast.parse(text)
    for node in _docstrings(tree):
        begin, end = (
            place(node.lineno, node.col_offset),
            place(node.end_lineno or 0, node.end_col_offset or 0),
        )
        if found := _LITERAL.fullmatch(text, begin, end):
            first, last = found.span(3)
            # The first line has no indentation: its quotes stand there.
            masked[first:last] = _markdown(" " * node.col_offset + found[3], node.col_offset)[
                node.col_offset :
            ]
            masked[last] = BREAK
    for node in _help_texts(tree):
        begin, end = (
            place(node.lineno, node.col_offset),
            place(node.end_lineno or 0, node.end_col_offset or 0),
        )
        for found in _LITERAL.finditer(text, begin, end):
            first, last = found.span(3)
            own = re.sub(r"\\.", "  ", found[3], flags=re.DOTALL)
            if "f" in found[1].lower():
                own = re.sub(r"\{[^{}]*\}", lambda value: _word(value[0]), own)
            masked[first:last] = _CODE.sub(lambda code: _word(code[0]), own)
        masked[begin] = BREAK
        masked[end - 1] = BREAK
    return "".join(masked)


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yield the docstrings of a module's public parts, of its constants too."""
    waiting: list[ast.Module | ast.ClassDef | ast.FunctionDef] = [tree]
    while waiting:
        parent = waiting.pop()
        # A function has one docstring at most, and what is inside isn't public.
        body = parent.body[:1] if isinstance(parent, ast.FunctionDef) else parent.body
        for node in body:
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                if isinstance(node.value.value, str):
                    yield node.value
            elif isinstance(node, ast.ClassDef | ast.FunctionDef) and not re.match(
                r"_(?!_)", node.name
            ):
                waiting.append(node)


def _help_texts(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield the texts of options and of parsers."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if ast.unparse(node.func).rpartition(".")[2] == "Option" and node.args:
            yield from _texts(node.args[0])
        for keyword in node.keywords:
            if keyword.arg in _HELP_KEYWORDS:
                yield from _texts(keyword.value)


def _texts(node: ast.expr) -> Iterator[ast.expr]:
    """Yield the texts in an expression; each part of a sum or a choice by itself."""
    if isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    ):
        yield node
    else:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                yield from _texts(child)
