"""Run the documents' commands, and write what they say now into the pages and the README's figures.

python -m tests.documents [PAGE ...]     without a page: all pages, then the figures (ten minutes)
"""

import sys
import tempfile
from pathlib import Path

from lightfm_retriever.hosting import terminal
from tests.documents import comparing, figures, screenshot
from tests.documents.demo_volume import ROOT, publish
from tests.documents.pages import Page, read_page
from tests.documents.running import PageRunner


def main(arguments: list[str]) -> int:
    """Run the pages that are named, or all; returns the exit status."""
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
    """Write what the page's commands say now into it; whether all of them did what they should."""
    fine = True
    fresh: list[tuple[int, int, list[str]]] = []
    with tempfile.TemporaryDirectory() as folder:
        runner = PageRunner(Path(folder).resolve())
        try:
            runner.start(page, volume)
            for ran in runner.run(page):
                step = ran.step
                recorded = step.commands[ran.command] if step.kind == "console" else step.output
                if ran.serves and not (recorded and recorded.output):
                    continue
                if recorded is None or (step.kind != "console" and ran.status):
                    if ran.status:
                        fine = False
                        print(f"  line {step.at + 1} fails:\n  " + "\n  ".join(ran.output))
                    continue
                lines = comparing.matched(recorded.output, ran.output)
                if lines is None:
                    fine = False
                    print(f"  line {recorded.at + 1}: {recorded.text or 'the output'} says now:")
                    print("    " + "\n    ".join(ran.output))
                else:
                    fresh.append((recorded.at, step.indent, lines))
        finally:
            runner.stop()
    for at, indent, lines in fresh:
        page.lines[at : at + len(lines)] = [f"{' ' * indent}{line}".rstrip() for line in lines]
    page.path.write_text("\n".join(page.lines) + "\n", "utf-8")
    return fine


if __name__ == "__main__":
    sys.exit(terminal.run(lambda: main(sys.argv[1:])))
