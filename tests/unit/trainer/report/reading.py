"""A report's page as a reader's browser takes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

# Without an end tag.
_VOID = {"meta", "img", "br"}


@dataclass
class Table:
    """Rows of texts of cells; the first is the head."""

    rows: list[list[str]] = field(default_factory=list)

    @property
    def head(self) -> list[str]:
        return self.rows[0]

    @property
    def body(self) -> list[list[str]]:
        return self.rows[1:]


class Page(HTMLParser):
    """Headings, tables, and addresses of a page; AssertionError where tags aren't closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.headings: list[str] = []
        self.tables: list[Table] = []
        self.images: list[str] = []
        self.alternatives: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.declaration = ""
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_decl(self, decl: str) -> None:
        self.declaration = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self._take(tag, name, value or "")
        if tag == "br":
            self._add("\n")
        if tag in ("h1", "h2"):
            self.headings.append("")
        elif tag == "table":
            self.tables.append(Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in ("td", "th"):
            self.tables[-1].rows[-1].append("")
        if tag not in _VOID:
            self._open.append(tag)

    def _take(self, tag: str, name: str, value: str) -> None:
        if tag == "img" and name == "src":
            self.images.append(value)
        elif name in ("src", "href", "srcset", "action", "data", "poster", "background"):
            self.addresses.append(value)
        elif name == "alt":
            self.alternatives.append(value)
        elif name.startswith("on"):
            self.handlers.append(name)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self._add(data)

    def _add(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside in ("h1", "h2"):
            self.headings[-1] += data
        elif inside in ("td", "th"):
            self.tables[-1].rows[-1][-1] += data
        if inside != "style":
            self.text += data

    def table(self, *columns: str) -> Table:
        """The only table that has these columns."""
        [found] = [table for table in self.tables if {*columns} <= {*table.head}]
        assert all(len(row) == len(found.head) for row in found.body)
        return found


def assert_self_contained(text: str) -> None:
    """No other file or host is asked for anything, and nothing is run."""
    page = Page(text)
    assert page.addresses == page.handlers == []
    assert all(address.startswith("data:image/png;base64,") for address in page.images)
    assert not {*page.tags} & {"script", "link", "iframe", "object", "embed", "base", "form"}
    assert not re.search(r"url\(|@import", text)
