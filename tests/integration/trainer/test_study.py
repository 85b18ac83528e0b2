from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from tests import datasets, movielens
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.progress import Silent
from trainer.study.files import write_study
from trainer.study.options import SearchSpace, StudyOptions
from trainer.study.study import run_study

QUICK = StudyOptions(
    space=SearchSpace(components=(2, 8), losses=("warp", "bpr")),
    start=datasets.QUICK,
    trials=6,
    max_epochs=4,
    epoch_step=2,
)
IN_A_PROCESS = """
import sys
from pathlib import Path
from tests import datasets
from tests.integration.trainer.test_study import QUICK
from trainer.progress import Silent
from trainer.study.files import write_study
from trainer.study.study import run_study

result = run_study(datasets.source(), split="first-10", options=QUICK, reporter=Silent())
write_study(result, Path(sys.argv[1]))
"""


def small():
    return run_study(datasets.source(), split="first-10", options=QUICK, reporter=Silent())


def test_two_processes_write_the_same_study(tmp_path):
    contents = []
    for name in ("one", "two"):
        subprocess.run([sys.executable, "-c", IN_A_PROCESS, str(tmp_path / name)], check=True)
        content = json.loads((tmp_path / name / "study.json").read_text("utf-8"))
        for timed in (content, *content["trials"]):
            assert timed.pop("seconds") > 0
        contents.append(content)
    assert contents[0] == contents[1]
    assert len(contents[0]["trials"]) == 6
    pictures = [tmp_path / name / "study.png" for name in ("one", "two")]
    for picture in pictures:
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert picture.stat().st_size > 20_000


def test_a_failed_trial_is_in_the_picture(tmp_path):
    result = small()
    failed = replace(result.trials[-1], state="failed", value=None, epochs=0, error="it diverged")
    best = max(result.trials[:-1], key=lambda trial: trial.value).number
    write_study(result, tmp_path)
    before = (tmp_path / "study.png").read_bytes()
    write_study(replace(result, trials=[*result.trials[:-1], failed], best=best), tmp_path)
    assert (tmp_path / "study.png").read_bytes() != before


def test_a_full_disk_leaves_the_last_study_as_it_was(small_disk):
    disk = small_disk()
    result = small()
    long = replace(result, warnings=["x" * 1000] * 600)
    with pytest.raises(OSError, match="No space left"):
        write_study(long, disk)
    assert list(disk.iterdir()) == []
    write_study(result, disk)
    before = (disk / "study.json").read_bytes()
    with pytest.raises(OSError, match="No space left"):
        write_study(long, disk)
    assert (disk / "study.json").read_bytes() == before
    assert sorted(path.name for path in disk.iterdir()) == ["study.json", "study.png"]


def test_the_best_of_a_short_search_recommends_well():
    """The first trial is the defaults, so the rest can't make it worse than these after ten epochs."""
    if reason := movielens.missing():
        pytest.skip(reason)
    options = StudyOptions(start=Hyperparameters(), trials=3, max_epochs=10)
    result = run_study(movielens.read(), split="first-10", options=options, reporter=Silent())
    assert result.value >= result.trials[0].value > 0.15
    assert result.test is not None
    assert result.test["test_precision_at_10_unseen"] > 0.2
    assert result.test["test_auc_unseen"] > 0.9
    assert result.validation_interactions == pytest.approx(result.fit_interactions / 9, rel=0.05)
    # Less those of items that the search has nothing else of.
    assert 90_500 < result.fit_interactions + result.validation_interactions <= 90_570
