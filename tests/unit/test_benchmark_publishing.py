"""The benchmark of publishing measures what it says."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.benchmarks import publishing
from tests.benchmarks.publishing import Measured, Peaks, Subject

STATUS = """\
Name:\tpython
State:\tR (running)
VmHWM:\t  300000 kB
VmRSS:\t  250000 kB
RssAnon:\t  120000 kB
RssFile:\t  130000 kB
"""


@pytest.fixture
def call(capsys, monkeypatch):
    """Run it; returns its exit status and what it printed."""

    def call(*flags):
        monkeypatch.setattr(sys, "argv", ["publishing", *map(str, flags)])
        status = publishing.main()
        return status, capsys.readouterr()

    return call


def test_publishing_is_measured_and_leaves_the_vectors_alone(call, tmp_path):
    flags = ("--items", 300, "--components", 8, "--trees", 2, "--folder", tmp_path, "--json")
    status, printed = call(*flags)
    assert (status, printed.err) == (0, "")
    [made] = json.loads(printed.out)["results"]
    assert made["subject"] == {"items": 300, "components": 8, "backend": "annoy", "trees": 2}
    # One build for each index: items of 8 and of 10 numbers in two trees.
    assert 300 * 4 * 8 < made["index_bytes"]["similar"] < made["index_bytes"]["recommend"] < 50_000
    assert list(made["seconds"]) == ["read", "index", "publish", "verify", "gates"]
    peaks = made["peaks"]
    assert 20_000_000 < peaks["anonymous"] < peaks["resident"]
    assert made["ratio"] == peaks["anonymous"] / made["index_bytes"]["recommend"]
    assert [path.name for path in tmp_path.iterdir()] == ["vectors-300-8"]


def test_peaks_are_read_as_linux_tells_them():
    assert Peaks.parse(STATUS) == Peaks(120_000 * 1024, 300_000 * 1024)
    # One that has ended and that nobody has waited for yet.
    assert Peaks.parse("Name:\tpython\nState:\tZ (zombie)\n") is None
    assert Peaks(1, 5).or_more(Peaks(2, 4)) == Peaks(2, 5)


class Holder:
    """A process that holds 80 MB until it is looked at, and no more when it is looked at again."""

    def __init__(self):
        code = "held = b'x' * 80_000_000; print(); input(); del held; print(); input()"
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen([sys.executable, "-uc", code], **pipes)
        self.process.stdout.readline()
        self.pid = self.process.pid
        self.waited = 0

    def wait(self, timeout):
        self.waited += 1
        if self.waited == 2:
            self.process.communicate(b"\n")
            return 0
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        self.process.stdout.readline()
        raise subprocess.TimeoutExpired("holder", timeout)


def test_a_peak_that_is_over_is_kept():
    holder = Holder()
    peaks = publishing.watch(holder)
    assert holder.waited == 2
    assert 80_000_000 < peaks.anonymous < 120_000_000
    assert peaks.resident >= peaks.anonymous


def test_the_ratio_is_to_the_largest_index(capsys):
    subject = Subject(items=5, components=4, backend="annoy", trees=1)
    sizes = {"similar": 2_000_000, "recommend": 4_000_000}
    for anonymous, said in ((6_000_000, "1.50 kept"), (6_200_000, "1.55 missed")):
        made = Measured(subject, Peaks(anonymous, 9_000_000), sizes, {"similar": 0.5}, {"index": 1.0})
        publishing._print([made], as_json=False)
        assert said in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--items", 0), "--items is 0, but should be above 0"),
        (("--trees", 0), "--trees is 0, but should be above 0"),
        (("--backend", "exact"), "--backend is 'exact', but should be among annoy, faiss, nmslib"),
    ],
)
def test_a_bad_flag_is_one_line_and_exit_status_1(flags, message, call, tmp_path):
    status, printed = call(*flags, "--folder", tmp_path)
    assert (status, printed.out, printed.err) == (1, "", f"error: {message}\n")


def test_publishing_that_fails_says_why(call, tmp_path):
    (folder := tmp_path / "vectors-50-4").mkdir()
    (folder / "items.txt").write_text("a\n")
    status, printed = call("--items", 50, "--components", 4, "--folder", tmp_path, "--json")
    assert status == 1
    assert printed.err.startswith("error: publishing ended with exit status 1: ")
    assert "No such file or directory" in printed.err
