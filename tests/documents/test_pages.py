"""Every command and snippet of the documents runs, and prints the output that the page shows."""

from pathlib import Path

import pytest

from tests.documents import comparing
from tests.documents.pages import read_page
from tests.documents.running import ROOT, PageRunner

pytestmark = pytest.mark.timeout(400)
OUTSIDE = ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md", "docker/README.md", "tests/README.md")
PAGES = [
    path
    for path in (*(ROOT / name for name in OUTSIDE), *sorted((ROOT / "docs").rglob("*.md")))
    if "adr" not in path.parts and read_page(path).steps
]


@pytest.mark.parametrize("path", PAGES, ids=[str(path.relative_to(ROOT)) for path in PAGES])
def test_a_pages_commands_say_what_it_shows(path: Path, tmp_path: Path, demo_volume: Path) -> None:
    page = read_page(path)
    runner = PageRunner(tmp_path)
    try:
        runner.start(page, demo_volume)
        for ran in runner.run(page):
            where = f"{path.relative_to(ROOT)}:{ran.step.at + 1}"
            shown = "\n".join(ran.output)
            if ran.step.kind == "console":
                command = ran.step.commands[ran.command]
                if ran.serves and not command.output:
                    continue  # A page need not show a service's log.
                found = comparing.matched(command.output, ran.output)
                assert found is not None, f"{where}: {command.text}\nsays now:\n{shown}"
                # A page that shows a failure shows its error.
                told = any(line.startswith("error: ") for line in command.output)
                assert ran.status == 0 or told, f"{where}: {command.text}\nfails:\n{shown}"
            else:
                assert ran.status == 0, f"{where}: fails:\n{shown}"
            if ran.step.output is not None:
                assert comparing.matched(ran.step.output.output, ran.output) is not None, (
                    f"{where}: prints now:\n{shown}"
                )
    finally:
        runner.stop()
