"""Every command and snippet of the documents runs, and prints the output that the page shows."""

from pathlib import Path

import pytest

from tests.documents.checking import check
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
            problem = check(ran).problem
            assert problem is None, f"{path.relative_to(ROOT)}, {problem}"
    finally:
        runner.stop()
