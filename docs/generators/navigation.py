"""The site's navigation: the sections and links of docs/index.md, in their order.

Readers can't find a page that no list names, so such a page stops the build.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, TypeAlias

HOME = "index.md"
_SECTION = re.compile(r"^## +(.+)$")
_ENTRY = re.compile(r"^[-*] +\[([^\]]+)\]\(([^)#:]+)\)")
_PAGES = (".md", ".ipynb")

Entry: TypeAlias = dict[str, Any]


class UnlistedError(Exception):
    """Pages that no list names."""


def of(docs: Path) -> list[str | Entry]:
    """Make the navigation that MkDocs needs from the lists of links.

    Raises UnlistedError for pages in `docs` that no list names.
    """
    sections: dict[str, list[Entry]] = {}
    for section, title, target in _links(docs, HOME):
        entry: Entry = {title: target}
        if target.endswith(f"/{HOME}"):
            below = [{name: own} for _, name, own in _links(docs, target)]
            entry = {title: [target, *below]}
        sections.setdefault(section, []).append(entry)
    if missing := sorted(_pages(docs) - set(_targets(sections)) - {HOME}):
        lists = {page: _list_for(docs, page) for page in missing}
        told = "\n".join(
            f"  docs/{page}: add a line with a link to it to {lists[page]}" for page in missing
        )
        raise UnlistedError(f"pages that the site doesn't list:\n{told}")
    # A section with a single list becomes that list.
    return [{"Home": HOME}, *({name: _unwrapped(entries)} for name, entries in sections.items())]


def _unwrapped(entries: list[Entry]) -> list[Any]:
    if len(entries) == 1 and isinstance(own := next(iter(entries[0].values())), list):
        return own
    return entries


def _links(docs: Path, page: str) -> Iterator[tuple[str, str, str]]:
    """Yield section, title and target (from `docs`) of each entry in a page's lists."""
    section = ""
    for line in (docs / page).read_text("utf-8").splitlines():
        if found := _SECTION.match(line):
            section = found[1]
        elif found := _ENTRY.match(line):
            # The menu shows text, not Markdown.
            yield section, found[1].replace("`", ""), _joined(PurePosixPath(page).parent, found[2])


def _joined(folder: PurePosixPath, link: str) -> str:
    parts: list[str] = []
    for part in (folder / link).parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _pages(docs: Path) -> set[str]:
    files = (file for file in docs.rglob("*") if file.suffix in _PAGES)
    return {file.relative_to(docs).as_posix() for file in files}


def _targets(sections: dict[str, list[Entry]]) -> Iterator[str]:
    for entries in sections.values():
        for entry in entries:
            for own in entry.values():
                if isinstance(own, str):
                    yield own
                else:
                    yield own[0]
                    yield from (next(iter(below.values())) for below in own[1:])


def _list_for(docs: Path, page: str) -> str:
    """Return the page that should list another page."""
    own = PurePosixPath(page).parent / HOME
    return f"docs/{own}" if str(own) != HOME and (docs / own).exists() else f"docs/{HOME}"
