"""The benchmarks of memory and of starts: what they read from the system, and their arithmetic."""

from __future__ import annotations

import os

import numpy as np
import pytest

from tests.benchmarks import footprint, startup
from tests.benchmarks.footprint import Footprint, Memory, further_worker
from tests.benchmarks.large import BenchmarkError
from tests.benchmarks.open_loop import Scheduled

ROLLUP = """\
55d0c0000000-7ffd4a9ff000 ---p 00000000 00:00 0                          [rollup]
Rss:              120000 kB
Pss:               70000 kB
Pss_Dirty:         41000 kB
Pss_Anon:          40000 kB
Shared_Clean:      60000 kB
Shared_Dirty:          4 kB
Private_Clean:     16000 kB
Private_Dirty:     41000 kB
Referenced:       110000 kB
Private_Hugetlb:       0 kB
"""


def test_memory_is_read_as_linux_tells_it():
    memory = Memory.parse(ROLLUP)
    assert memory == Memory(pss=70000 * 1024, private_clean=16000 * 1024, private_dirty=41000 * 1024)
    assert memory.private == 57000 * 1024


def test_a_figure_that_is_not_there_is_an_error_not_a_zero():
    with pytest.raises(ValueError, match="Private_Dirty"):
        Memory.parse(ROLLUP.replace("Private_Dirty", "Private_Other"))


def test_memory_of_a_process_that_runs():
    memory = Memory.of(os.getpid())
    assert 0 < memory.private_dirty <= memory.private
    assert memory.private <= memory.pss


def a_footprint(parent, *workers):
    return Footprint(Memory(parent, 1, 2), [Memory(pss, pss // 2, pss // 4) for pss in workers])


def test_sums_are_of_all_processes_medians_of_workers():
    made = a_footprint(100, 8, 16, 60)
    assert made.total("pss") == 184
    assert made.total("private_dirty") == 2 + 2 + 4 + 15
    assert made.median("pss") == 16
    assert made.most("pss") == 60


def test_a_further_worker_costs_the_slope_whatever_all_share():
    by_workers = {
        count: a_footprint(1000, *[(500 + 40 * count) // count] * count) for count in (1, 2, 4)
    }
    assert further_worker(by_workers, "pss") == pytest.approx(40, abs=0.5)
    # In any order.
    assert further_worker(dict(reversed(by_workers.items())), "pss") == pytest.approx(40, abs=0.5)


def test_of_one_number_of_workers_there_is_no_slope():
    assert further_worker({2: a_footprint(10, 5, 5)}, "pss") is None


def calls(*times):
    due, answered = np.array(times, dtype=float).T
    return Scheduled(due, due, answered)


def test_calls_are_steady_until_the_label_moves_and_in_the_reload_until_all_serve():
    made = calls((0, 1), (1, 2), (2, 4), (3.5, 4.5), (6, 7), (9, 10))
    steady, during = startup.parted(made, 3, 5)
    assert steady.due.tolist() == [0, 1]
    # What was asked before and answered in it has felt it too.
    assert during.due.tolist() == [2, 3.5]


@pytest.mark.parametrize(
    ("began", "ended", "said"),
    [
        (0.5, 2, "--rate"),
        (2.5, 2.7, "--rate"),
        (3, 11, "took 8.0 s, longer than calls came"),
    ],
)
def test_a_reload_without_calls_to_compare_is_refused(began, ended, said):
    with pytest.raises(BenchmarkError, match=said):
        startup.parted(calls((0, 1), (1, 2), (3, 4), (9, 10)), began, ended)


def test_a_p99_is_told_in_milliseconds():
    assert startup.p99_milliseconds(np.arange(101) / 1000) == pytest.approx(99)


def test_a_spread_is_the_median_and_the_range():
    assert startup.spread([3.0, 1.0, 1.5]) == "1.500 (1.000..3.000)"


def test_files_that_were_just_read_are_in_the_page_cache(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(bytes(1 << 20))
    empty = tmp_path / "empty"
    empty.touch()
    startup.read_all([file, empty])
    assert startup.cached_share([file, empty]) == 1
    assert startup.cached_share([empty]) == 1


def test_the_whole_cache_is_dropped_only_by_those_who_may(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(startup, "DROP_CACHES", tmp_path / "not-there")
    arguments = ["startup", "--drop-caches", "--folder", str(tmp_path / "folder")]
    monkeypatch.setattr("sys.argv", arguments)
    assert startup.main() == 1
    assert "only root may" in capsys.readouterr().err
    assert not (tmp_path / "folder").exists()


def test_no_worker_and_no_call_are_refused(monkeypatch, capsys, tmp_path):
    for flags in (["--workers", "0"], ["--calls", "-1"]):
        monkeypatch.setattr("sys.argv", ["footprint", "--folder", str(tmp_path), *flags])
        assert footprint.main() == 1
        assert f"error: {flags[0]} is {flags[1]}, but should be above 0" in capsys.readouterr().err
