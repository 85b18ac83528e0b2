"""A report's page as a reader's browser takes it."""

import re
from xml.etree import ElementTree as ET

_ODD = {"script", "link", "iframe", "object", "embed", "base", "form"}
_ADDRESSES = {"src", "href", "srcset", "action", "data", "poster", "background"}


class Page:
    """Headings, tables (rows of texts of cells, the head first), images and text of a page.

    An error where tags aren't closed in order, another file is asked for, or something is run.
    """

    def __init__(self, text: str) -> None:
        assert not re.search(r"url\(|@import", text)
        # As XML has it, which is stricter.
        quoted = re.sub(r"class=(\w+)", r'class="\1"', text.partition("\n")[2])
        root = ET.fromstring(re.sub(r"<((?:meta|img|br)\b[^>]*)>", r"<\1/>", quoted))  # noqa: S314
        self.images: list[str] = []
        for one in root.iter():
            if one.tag == "img":
                self.images.append(one.attrib.pop("src"))
                assert self.images[-1].startswith("data:image/png;base64,")
                assert one.get("alt")
            elif one.tag == "br":
                one.text = "\n"
            assert one.tag not in _ODD
            assert not [name for name in one.attrib if name in _ADDRESSES or name.startswith("on")]
        self.text = _text(root)
        self.headings = [_text(one) for one in root.iter() if one.tag in ("h1", "h2")]
        self.tables = [
            [[_text(cell) for cell in row] for row in table.iter("tr")] for table in root.iter("table")
        ]

    def table(self, *columns: str) -> list[list[str]]:
        """The body of the only table that has these columns."""
        [(head, *body)] = [table for table in self.tables if {*columns} <= {*table[0]}]
        assert all(len(row) == len(head) for row in body)
        return body


def _text(one: ET.Element) -> str:
    return "".join(one.itertext())
