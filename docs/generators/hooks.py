"""Hooks of MkDocs: the navigation, generated parts, pages from other folders, and links."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import commands
import links
import navigation
import notebooks
import wire
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

# A comment such as `<!-- commands of lightfm-trainer -->` marks the place of a generated part.
_PARTS = {
    **{f"<!-- commands of {name} -->": (commands.reference, name) for name in commands.PROGRAMS},
    **{f"<!-- protobuf of {name} -->": (wire.reference, name) for name in wire.PACKAGES},
}
_COPIES = "source"
# Names in a narrow column may break after these characters. Flags never break.
_CELL = re.compile(r"<td\b.*?</td>", re.DOTALL)
_IN_CODE = re.compile(r"(?<=<code>)[^<]+")
_BREAK = re.compile(r"(?<=[_./])(?=[A-Za-z])")
_FLAG = re.compile(r"<code>(?=--)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Take the navigation from docs/index.md."""
    try:
        found = navigation.of(Path(config.docs_dir))
    except navigation.UnlistedError as error:
        raise PluginError(str(error)) from None
    config.nav = _placed(found)
    return config


def _placed(entry: Any) -> Any:
    """Replace each target by its place on the site."""
    if isinstance(entry, list):
        return [_placed(own) for own in entry]
    if isinstance(entry, dict):
        return {name: _placed(own) for name, own in entry.items()}
    source = f"{links.DOCS}/{entry}" if not entry.startswith("../") else entry.removeprefix("../")
    return links.place_of(source) or entry


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from other folders, and the pages made from notebooks."""
    for place in links.INCLUDED:
        if (source := links.source_of(place)) == links.INCLUDED[place]:
            files.append(File.generated(config, place, abs_src_path=str(links.ROOT / source)))
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(file)
        text, pictures = notebooks.page(Path(file.abs_src_path or ""))
        place = links.place_of(f"{links.DOCS}/{file.src_uri}") or ""
        files.append(File.generated(config, place, content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, str(Path(place).parent / name), content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Write the generated parts, and adapt the links."""

    def add_copy(source: str) -> str:
        place = f"{_COPIES}/{source}.txt"
        if files.get_file_from_path(place) is None:
            text = (links.ROOT / source).read_text("utf-8")
            files.append(File.generated(config, place, content=text))
        return place

    text = links.mended(markdown, page.file.src_uri, add_copy)
    for mark, (reference, name) in _PARTS.items():
        if mark in text:
            text = text.replace(mark, reference(name))
    return text


def on_page_content(html: str, **_: object) -> str:
    """Mark the places where names in tables may break."""

    def broken(cell: re.Match[str]) -> str:
        names = _FLAG.sub('<code class="flag">', cell[0])
        return _IN_CODE.sub(lambda name: _BREAK.sub("<wbr>", name[0]), names)

    return _CELL.sub(broken, html)
