"""The page of settings has every flag and variable, and the contract README every published file."""

import runpy
from pathlib import Path

import pytest

from retriever.config import Config
from tests import specs
from trainer.service.options import ServerOptions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/reference/settings.md").read_text("utf-8")
TABLES = [
    ("settings", "with_tables", "| `RETRIEVER_WORKERS` | `2` |", "| `RETRIEVER_WORKERS` | `3` |"),
    ("files", "with_table", "`item_norms.npy` | float32 (items)", "`item_norms.npy` | float64 (items)"),
]


@pytest.mark.parametrize(("name", "fresh", "row", "stale_row"), TABLES)
def test_the_tables_are_fresh_and_stale_ones_are_noticed(name, fresh, row, stale_row):
    script = runpy.run_path(str(ROOT / f"docs/{name}.py"))
    page = script["PAGE"].read_text("utf-8")
    assert script[fresh](page) == page, f"run 'make {name}'"
    stale = page.replace(row, stale_row)
    assert stale != page
    assert script[fresh](stale) == page


SERVICES = [("retriever", Config, 25), ("trainer", ServerOptions, 60)]


@pytest.mark.parametrize(("service", "root", "least"), SERVICES)
def test_every_option_of_a_service_has_a_flag_a_variable_and_a_row(service, root, least):
    """All that are declared on its settings, and on what these are made of."""
    options = [*specs.options_of(root)]
    assert len(options) >= least
    for one in options:
        variable = f"{service.upper()}_{one.dest.upper()}"
        assert f"| `{one.flag}` | `{variable}` |" in PAGE, f"run 'make settings', and add {one.flag}"
