"""A report's page as a reader's browser takes it."""

from __future__ import annotations

import re
from html.parser import HTMLParser

# Without an end tag.
_VOID = {"meta", "img", "br"}
_ODD = {"script", "link", "iframe", "object", "embed", "base", "form"}
_ADDRESSES = {"src", "href", "srcset", "action", "data", "poster", "background"}


class Page(HTMLParser):
    """Headings, tables (rows of texts of cells, the head first), images and text of a page.

    AssertionError where tags aren't closed in order, another file is asked for, or something is run.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.headings: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.images: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []
        assert not re.search(r"url\(|@import", text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "img":
            self.images.append(given.pop("src") or "")
            assert self.images[-1].startswith("data:image/png;base64,")
            assert given.pop("alt")
        assert not [name for name in given if name in _ADDRESSES or name.startswith("on")]
        assert tag not in _ODD
        if tag in ("h1", "h2"):
            self.headings.append("")
        elif tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "br":
            self.handle_data("\n")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        inside = self._open[-1] if self._open else ""
        if inside in ("h1", "h2"):
            self.headings[-1] += data
        elif inside in ("td", "th"):
            self.tables[-1][-1][-1] += data
        if inside != "style":
            self.text += data

    def table(self, *columns: str) -> list[list[str]]:
        """The body of the only table that has these columns."""
        [(head, *body)] = [table for table in self.tables if {*columns} <= {*table[0]}]
        assert all(len(row) == len(head) for row in body)
        return body
