"""Write the tables of settings in docs/reference/settings.md: python docs/settings.py

The tables are made from the parsers' own flags, so they can't differ from the program.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from pathlib import Path

from lightfm_retriever.hosting.settings import layers
from retriever import program as retriever
from trainer.cli import arguments, serve_arguments

PAGE = Path(__file__).parent / "reference/settings.md"
# A help may end with a default that isn't a value.
_SAID = r"\(default: ([^()]*)\)"
_SERVICES: dict[str, tuple[str, Callable[[argparse.ArgumentParser], None]]] = {
    "retriever": (retriever.PREFIX, retriever.add_serve_flags),
    "trainer": (arguments.PREFIX, serve_arguments.add_serve_flags),
}


def with_tables(page: str) -> str:
    """Return a page with fresh tables between its marks."""
    for service, (prefix, add_flags) in _SERVICES.items():
        parser = argparse.ArgumentParser(prog=service)
        add_flags(parser)
        begin, end = f"<!-- settings of {service} -->\n", f"<!-- end of {service} -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{_table(parser, prefix)}\n\n{end}{after}"
    return page


def _table(parser: argparse.ArgumentParser, prefix: str) -> str:
    lines = ["| Flag | Variable | Default | Meaning |", "| --- | --- | --- | --- |"]
    for action in layers.actions(parser):
        flag = action.option_strings[-1]
        cells = (f"`{flag}`", f"`{prefix}{action.dest.upper()}`", _default(action), _help(action))
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines)


def _default(action: argparse.Action) -> str:
    if action.required:
        return "required"
    if action.default is argparse.SUPPRESS or action.default is None or action.default in ([], ""):
        said = re.search(_SAID, action.help or "")
        return said[1] if said else ""
    if action.nargs == 0:
        return "off"
    return f"`{action.default}`"


def _help(action: argparse.Action) -> str:
    text = re.sub(rf"\s*({_SAID}|\(or set [A-Z_]+\))", "", action.help or "")
    choices = "" if action.choices is None else ": " + ", ".join(map(str, action.choices))
    return text.replace("%%", "%") + choices


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text("utf-8")), "utf-8")
