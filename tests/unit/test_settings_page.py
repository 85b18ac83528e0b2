"""docs/operating.md has every flag and variable, with its default."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from retriever.config import Config
from tests import specs
from trainer.service.options import ServerOptions

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operating.md").read_text("utf-8")


@pytest.fixture(scope="module")
def script():
    """docs/ is no package."""
    spec = importlib.util.spec_from_file_location("settings_page", ROOT / "docs/settings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_are_fresh(script):
    assert script.with_tables(PAGE) == PAGE, "run 'make settings'"


def test_a_default_that_changed_is_noticed(script):
    stale = PAGE.replace("| `RETRIEVER_WORKERS` | `2` |", "| `RETRIEVER_WORKERS` | `3` |")
    assert stale != PAGE
    assert script.with_tables(stale) == PAGE


@pytest.mark.parametrize("service", ["retriever", "trainer"])
def test_what_help_names_is_in_the_table(service, capsys):
    module = importlib.import_module(f"{service}.__main__")
    with pytest.raises(SystemExit):
        module.main(["serve", "--help"])
    named = set(re.findall(r"^  (--[a-z0-9-]+)", capsys.readouterr().out, re.MULTILINE))
    assert {"--volume", "--listen", "--tls-cert", "--metrics-listen"} <= named
    table = PAGE.partition(f"<!-- settings of {service} -->")[2].partition("<!-- end of")[0]
    listed = set(re.findall(r"^\| `(--[a-z0-9-]+)`", table, re.MULTILINE))
    assert named == listed


@pytest.mark.parametrize(
    ("service", "root", "least"), [("retriever", Config, 25), ("trainer", ServerOptions, 60)]
)
def test_every_option_of_a_service_has_a_flag_a_variable_and_a_row(service, root, least):
    """All that are declared on its settings, and on what these are made of."""
    options = [*specs.options_of(root)]
    assert len(options) >= least
    for one in options:
        variable = f"{service.upper()}_{one.dest.upper()}"
        assert f"| `{one.flag}` | `{variable}` |" in PAGE, f"run 'make settings', and add {one.flag}"


def test_every_link_within_the_page_leads_somewhere():
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    links = set(re.findall(r"\]\(#([^)]+)\)", PAGE))
    assert links
    assert links <= anchors
