"""The page of errors has each status code and reason of the services, and no others."""

import ast
import re
from pathlib import Path
from typing import get_args, get_type_hints

import pytest

from retriever.errors import UnknownIdError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/errors.md").read_text("utf-8")
ROWS = [line for line in PAGE.splitlines() if re.match(r"\| `[A-Z_]+`", line)]
STATUSES = {
    "the retriever": "retriever/worker/status.py",
    "the trainer": "trainer/service/status.py",
    "both services": "lightfm_retriever/hosting/security/access.py",
}
_REASON = re.compile(r"[A-Z]+(_[A-Z]+)+|LOADING|STOPPING")


def section(title):
    return PAGE.split(f"\n## Codes of {title}\n")[1].split("\n## ")[0]


def told(text):
    """Return the codes and reasons in the first cells of a section's rows."""
    cells = [line.split("|")[1] for line in text.splitlines() if re.match(r"\| `[A-Z_]+`", line)]
    return [re.findall(r"`([A-Z_]+)`", cell) for cell in cells]


def in_code(name):
    """Return the codes and reasons of the statuses that a module makes."""
    tree = ast.parse((ROOT / STATUSES[name]).read_text())
    codes = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "code_pb2"
    }
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    reasons = {text for text in texts if isinstance(text, str) and _REASON.fullmatch(text)}
    return codes, reasons


@pytest.mark.parametrize("name", STATUSES)
def test_every_code_and_reason_of_the_code_has_a_row_and_the_other_way_round(name):
    codes, reasons = in_code(name)
    if name == "the retriever":
        kinds = get_args(get_type_hints(UnknownIdError.__init__)["kind"])
        reasons |= {f"{kind.upper()}_NOT_FOUND" for kind in kinds}
    assert len(reasons) >= 3
    rows = told(section(name))
    assert {row[1] for row in rows if len(row) > 1} == reasons
    everywhere = {row[0] for row in [*rows, *told(section("both services"))]}
    assert codes <= everywhere


def test_the_pairs_of_the_trainer_are_those_of_its_table():
    source = (ROOT / STATUSES["the trainer"]).read_text()
    pairs = set(re.findall(r'code_pb2\.([A-Z_]+), "([A-Z_]+)"\)', source))
    assert len(pairs) >= 14
    assert pairs <= {tuple(row) for row in told(section("the trainer"))}


def test_a_row_says_when_it_comes_and_what_to_do():
    assert len(ROWS) > 30
    for row in ROWS:
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert len(cells) == 3, row
        assert all(cell.endswith(".") for cell in cells[1:]), row
