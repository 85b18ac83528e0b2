"""Run the documents' commands, and write their output into the pages and the README's figures.

python -m tests.documents [PAGE ...]     without a page: all pages, then the figures (ten minutes)
"""

import sys
import tempfile
from pathlib import Path

from lightfm_retriever.hosting import terminal
from tests.documents import figures, screenshot
from tests.documents.checking import check
from tests.documents.demo_volume import ROOT, publish
from tests.documents.pages import Page, read_page
from tests.documents.running import PageRunner


def main(arguments: list[str]) -> int:
    """Run the named pages, or all; returns the exit status."""
    paths = [Path(own) for own in arguments]
    if not paths:
        paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        volume = publish(Path(folder) / "volume")
        for path in paths:
            page = read_page(path)
            if page.steps and "adr" not in path.parts:
                print(path, flush=True)
                failed |= not _refresh(page, volume)
        if not arguments:
            print("figures", flush=True)
            figures.write(figures.measure(volume))
            screenshot.take(volume)
    return int(failed)


def _refresh(page: Page, volume: Path) -> bool:
    """Write the new output of a page's commands; returns whether all commands succeeded."""
    fine = True
    fresh: list[tuple[int, int, list[str]]] = []
    with tempfile.TemporaryDirectory() as folder:
        runner = PageRunner(Path(folder).resolve())
        try:
            runner.start(page, volume)
            for ran in runner.run(page):
                checked = check(ran)
                if checked.problem is not None:
                    fine = False
                    print("  " + checked.problem.replace("\n", "\n    "))
                elif checked.recorded is not None and checked.lines is not None:
                    fresh.append((checked.recorded.at, ran.step.indent, checked.lines))
        finally:
            runner.stop()
    for at, indent, lines in fresh:
        page.lines[at : at + len(lines)] = [f"{' ' * indent}{line}".rstrip() for line in lines]
    page.path.write_text("\n".join(page.lines) + "\n", "utf-8")
    return fine


if __name__ == "__main__":
    sys.exit(terminal.run(lambda: main(sys.argv[1:])))
