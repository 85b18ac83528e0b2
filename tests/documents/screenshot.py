"""Draws a picture of a terminal with commands and their real output, for the README."""

import io
import tempfile
from pathlib import Path

from rich.console import Console
from rich.text import Text

from tests.documents.pages import Command, Page, Step
from tests.documents.running import ROOT, PageRunner

FILE = ROOT / "docs/images/terminal.svg"
COMMANDS = (
    "lightfm-retriever recommend 3 --limit 4 --attributes release_year --explain",
    "lightfm-retriever recommend --session 50,181 --limit 3 --any-of genres=Comedy",
    "lightfm-retriever status",
)
_WIDTH = 118
# The format of rich, without the fonts that it would fetch from another host.
_FORMAT = """<svg class="rich-terminal" viewBox="0 0 {width} {height}"
xmlns="http://www.w3.org/2000/svg" role="img">
<title>Commands of the retriever, and what they say</title>
<style>
.{unique_id}-matrix {{ font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace;
font-size: {char_height}px; line-height: {line_height}px; font-variant-east-asian: full-width; }}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}<g class="{unique_id}-matrix">{matrix}</g></g></svg>
"""


def take(volume: Path) -> None:
    """Run the commands with a retriever of the demo's volume, and save the picture."""
    commands = [Command(text) for text in COMMANDS]
    page = Page(FILE, [], [Step("console", "", 0, commands=commands)], ["demo service"])
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), highlight=False)
    with tempfile.TemporaryDirectory() as folder:
        runner = PageRunner(Path(folder).resolve())
        try:
            runner.start(page, volume)
            for ran in runner.run(page):
                console.print(Text.assemble(("$ ", "green"), (commands[ran.command].text, "bold")))
                for line in ran.output:
                    console.print(Text(line))
        finally:
            runner.stop()
    svg = console.export_svg(title="lightfm-retriever", code_format=_FORMAT, unique_id="terminal")
    FILE.write_text(svg, "utf-8")
