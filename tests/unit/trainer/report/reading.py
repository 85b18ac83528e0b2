"""A report's page as a reader's browser takes it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

# Without an end tag.
_VOID = {"meta", "img", "br"}
_ADDRESSES = {"src", "href", "srcset", "action", "data", "poster", "background"}


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
        self.headings: list[str] = []
        self.tables: list[Table] = []
        self.images: list[str] = []
        # What asks for another file, or runs.
        self.odd: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "img":
            self.images.append(given.pop("src") or "")
            assert given.pop("alt")
        self.odd += [name for name in given if name in _ADDRESSES or name.startswith("on")]
        self.odd += {tag} & {"script", "link", "iframe", "object", "embed", "base", "form"}
        if tag in ("h1", "h2"):
            self.headings.append("")
        elif tag == "table":
            self.tables.append(Table())
        elif tag == "tr":
            self.tables[-1].rows.append([])
        elif tag in ("td", "th"):
            self.tables[-1].rows[-1].append("")
        if tag == "br":
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
    assert page.odd == []
    assert all(address.startswith("data:image/png;base64,") for address in page.images)
    assert not re.search(r"url\(|@import", text)
