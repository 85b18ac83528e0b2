"""docs/capacity.py: the model, and that docs/scaling.md has what it prints."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_, _, ON_PAPER = (ROOT / "docs/scaling.md").read_text("utf-8").partition("### On paper")


@pytest.fixture(scope="module")
def capacity():
    """docs/ is no package."""
    spec = importlib.util.spec_from_file_location("capacity", ROOT / "docs/capacity.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["capacity"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["capacity"]


def test_a_million_of_each_is_what_was_measured(capacity):
    fleet = capacity.fleet_for(capacity.Demand(users=1e6, items=1e6, rate=1000, utilization=1))
    assert fleet.version_gb == pytest.approx(0.88, abs=0.01)
    assert fleet.call_microseconds == pytest.approx(450, rel=0.03)
    assert fleet.cores == pytest.approx(0.46, abs=0.01)
    assert fleet.machines == 1
    assert fleet.fits


def test_memory_is_for_two_versions_and_can_be_too_much(capacity):
    demand = capacity.Demand(users=1e8, items=1e8, memory_gb=128)
    fleet = capacity.fleet_for(demand)
    assert fleet.memory_gb > 2 * fleet.version_gb
    assert not fleet.fits
    assert capacity.fleet_for(replace(demand, memory_gb=256)).fits


def test_a_change_waits_for_the_slower_of_store_and_machine(capacity):
    demand = capacity.Demand(store_gbit=1e6)
    own = capacity.fleet_for(demand)
    assert own.change_seconds == pytest.approx(own.machine_seconds + own.verify_seconds)
    shared = capacity.fleet_for(replace(demand, store_gbit=10))
    assert shared.change_seconds == pytest.approx(shared.store_seconds + shared.verify_seconds)
    slow = capacity.fleet_for(replace(demand, network_gbit=1))
    assert slow.machine_seconds > own.machine_seconds


def test_json_has_what_was_asked_and_what_it_takes(capacity, capsys):
    assert capacity.main(["--rate", "1000", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["rate"] == 1000
    assert printed["machines"] >= 1


@pytest.mark.parametrize("flags", [["--rate", "0"], ["--utilization", "1.5"], ["--items", "inf"]])
def test_what_is_out_of_range_is_refused(capacity, flags, capsys):
    with pytest.raises(SystemExit) as ended:
        capacity.main(flags)
    assert ended.value.code == 2
    assert flags[0] in capsys.readouterr().err


@pytest.mark.parametrize(("column", "batched"), [(1, False), (2, True)])
def test_the_page_has_what_the_command_prints(capacity, column, batched):
    fleet = capacity.fleet_for(capacity.Demand(batched=batched))
    for what, figure in capacity.table(fleet):
        row = next((row for row in ON_PAPER.splitlines() if row.startswith(f"| {what} |")), "")
        assert re.split(r" *\| *", row)[1:-1][column] == figure, what
