"""docs/capacity.py: the model, and that docs/explanation/scaling.md has what it prints."""

import importlib.util
import json
import re
import sys
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parents[2]
_, _, ON_PAPER = (ROOT / "docs/explanation/scaling.md").read_text("utf-8").partition("### On paper")


@pytest.fixture(scope="module")
def capacity():
    """docs/ is no package."""
    spec = importlib.util.spec_from_file_location("capacity", ROOT / "docs/capacity.py")
    with mock.patch.dict(sys.modules, capacity=importlib.util.module_from_spec(spec)):
        spec.loader.exec_module(sys.modules["capacity"])
        yield sys.modules["capacity"]


def test_a_million_of_each_is_what_was_measured(capacity):
    fleet = capacity.fleet_for(capacity.Demand(users=1e6, items=1e6, rate=1000, utilization=1))
    assert fleet.version_gb == pytest.approx(0.88, abs=0.01)
    assert fleet.call_microseconds == pytest.approx(450, rel=0.03)
    assert fleet.cores == pytest.approx(0.46, abs=0.01)
    assert (fleet.machines, fleet.fits) == (1, True)


def test_memory_is_for_two_versions_and_can_be_too_much(capacity):
    less, more = (capacity.fleet_for(capacity.Demand(memory_gb=own)) for own in (128, 256))
    assert less.memory_gb > 2 * less.version_gb
    assert (less.fits, more.fits) == (False, True)


def test_a_change_waits_for_the_slower_of_store_and_machine(capacity):
    own, shared = (capacity.fleet_for(capacity.Demand(store_gbit=own)) for own in (1e6, 10))
    assert own.change_seconds == pytest.approx(own.machine_seconds + own.verify_seconds)
    assert shared.change_seconds == pytest.approx(shared.store_seconds + shared.verify_seconds)
    assert capacity.fleet_for(capacity.Demand(network_gbit=1)).machine_seconds > own.machine_seconds


def test_json_has_what_was_asked_and_what_it_takes(capacity, capsys):
    assert capacity.main(["--rate", "1000", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["rate"], printed["machines"] >= 1) == (1000, True)
    with pytest.raises(SystemExit):
        capacity.main(["--utilization", "1.5"])
    assert "--utilization" in capsys.readouterr().err


@pytest.mark.parametrize(("column", "batched"), [(1, False), (2, True)])
def test_the_page_has_what_the_command_prints(capacity, column, batched):
    fleet = capacity.fleet_for(capacity.Demand(batched=batched))
    for what, figure in capacity.table(fleet):
        row = next((row for row in ON_PAPER.splitlines() if row.startswith(f"| {what} |")), "")
        assert re.split(r" *\| *", row)[1:-1][column] == figure, what
