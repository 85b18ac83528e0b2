"""docs/capacity.py: the model, its errors, and the figures that pages quote from it."""

import importlib.util
import json
import re
import shlex
import sys
from pathlib import Path
from unittest import mock

import pytest

ROOT = Path(__file__).parents[2]
_, _, ON_PAPER = (ROOT / "docs/explanation/scaling.md").read_text("utf-8").partition("### On paper")
SIZING = (ROOT / "docs/how-to/sizing.md").read_text("utf-8")
PROMPT = "$ python docs/capacity.py "
LARGE = {"users": 1e8, "items": 1e8, "rate": 1e6, "backend": "faiss", "cores": 32, "memory_gb": 256}
SMALL = ["--users", "1e6", "--items", "5e5", "--rate", "200"]


@pytest.fixture(scope="module")
def capacity():
    """docs/ is no package."""
    spec = importlib.util.spec_from_file_location("capacity", ROOT / "docs/capacity.py")
    with mock.patch.dict(sys.modules, capacity=importlib.util.module_from_spec(spec)):
        spec.loader.exec_module(sys.modules["capacity"])
        yield sys.modules["capacity"]


@pytest.fixture
def fleet(capacity):
    return lambda **changes: capacity.fleet_for(capacity.Demand(**{**LARGE, **changes}))


def test_a_million_of_each_is_what_was_measured(fleet):
    own = fleet(users=1e6, items=1e6, rate=1e5, utilization=1)
    assert own.version_gb == pytest.approx(0.88, abs=0.01)
    assert own.call_microseconds == pytest.approx(450, rel=0.03)
    assert (own.cores, own.machines, own.fits) == (46, 2, True)


def test_the_least_rate_takes_a_core_and_a_machine(fleet):
    own = fleet(rate=0.001)
    assert (own.cores, own.machines) == (1, 1)


def test_memory_is_for_two_versions_and_can_be_too_much(fleet):
    less, more = (fleet(memory_gb=own) for own in (128, 256))
    assert less.versions_gb == pytest.approx(2 * less.version_gb)
    assert less.memory_gb == pytest.approx(less.versions_gb + less.workers_gb + less.other_gb)
    assert (less.fits, more.fits) == (False, True)


def test_workers_are_as_many_as_cores(fleet):
    assert fleet(cores=64).workers_gb - fleet(cores=32).workers_gb == pytest.approx(32 * 0.043)


def test_annoy_has_larger_files_than_faiss(fleet):
    added = fleet(backend="annoy").version_gb - fleet().version_gb
    assert added == pytest.approx(1e8 * 690 / 1e9, rel=0.02)


def test_a_change_waits_for_the_slower_of_store_and_machine(fleet):
    own, shared = (fleet(store_gbit=own) for own in (1e6, 10))
    assert own.change_seconds == pytest.approx(own.machine_seconds + own.verify_seconds)
    assert shared.change_seconds == pytest.approx(shared.store_seconds + shared.verify_seconds)
    assert fleet(network_gbit=1).machine_seconds > own.machine_seconds


def test_json_has_the_demand_and_the_fleet(capacity, capsys):
    assert capacity.main([*SMALL, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert (printed["rate"], printed["backend"], printed["machines"]) == (200, "annoy", 1)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--items", "500000"], "missing: --users, --rate"),
        ([*SMALL, "--utilization", "1.5"], "--utilization is 1.5, but should be above 0 and at most 1"),
        ([*SMALL, "--backend", "nmslib"], "--backend is 'nmslib', but should be one of annoy, faiss"),
    ],
)
def test_mistakes_are_errors_in_words(capacity, capsys, arguments, error):
    assert capacity.main(arguments) == 2
    assert capsys.readouterr().err == f"error: {error}\nSee 'python docs/capacity.py --help'.\n"


@pytest.mark.parametrize(("column", "batched"), [(1, False), (2, True)])
def test_scaling_has_the_figures_of_the_command(capacity, fleet, column, batched):
    for what, figure in capacity.table(fleet(batched=batched)):
        row = next((row for row in ON_PAPER.splitlines() if row.startswith(f"| {what} |")), "")
        assert re.split(r" *\| *", row)[1:-1][column] == figure, what


def test_sizing_has_the_output_of_the_command(capacity, capsys):
    for block in re.findall(r"```console\n(.*?)```", SIZING, re.DOTALL):
        command, _, output = block.partition("\n")
        assert command.startswith(PROMPT)
        assert capacity.main(shlex.split(command.removeprefix(PROMPT))) == 0
        assert capsys.readouterr().out == output
