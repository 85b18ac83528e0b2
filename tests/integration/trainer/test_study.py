import json
import subprocess
import sys
from dataclasses import replace

import pytest

from tests import datasets, movielens
from trainer.fitting.lightfm_model import Hyperparameters
from trainer.progress import Silent
from trainer.study.options import SearchSpace, StudyOptions
from trainer.study.study import run_study, write_study

IN_A_PROCESS = """
import sys
from pathlib import Path
from tests.integration.trainer.test_study import study
from trainer.study.study import write_study

write_study(study(), Path(sys.argv[1]))
"""


def study():
    space = SearchSpace(components=(2, 8), losses=("warp", "bpr"))
    quick = StudyOptions(space=space, start=datasets.QUICK, trials=4, max_epochs=4, epoch_step=2)
    return run_study(datasets.source(), split="first-10", options=quick, reporter=Silent())


small = pytest.fixture(scope="module")(study)


def written(folder):
    """A study's file without its times."""
    content = json.loads((folder / "study.json").read_text("utf-8"))
    for timed in (content, *content["trials"]):
        assert timed.pop("seconds") > 0
    assert len(content["trials"]) == 4
    return content


def test_another_process_writes_the_same_study_and_a_failed_trial_is_in_the_picture(small, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    subprocess.run([sys.executable, "-c", IN_A_PROCESS, str(there)], check=True)
    write_study(small, here)
    assert written(here) == written(there)
    before = (here / "study.png").read_bytes()
    for picture in (before, (there / "study.png").read_bytes()):
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 20_000
    failed = replace(small.trials[-1], state="failed", value=None, epochs=0, error="it diverged")
    best = max(small.trials[:-1], key=lambda trial: trial.value).number
    write_study(replace(small, trials=[*small.trials[:-1], failed], best=best), here)
    assert (here / "study.png").read_bytes() != before


def test_a_full_disk_leaves_the_last_study_as_it_was(small, small_disk):
    disk = small_disk()
    for left in ([], ["study.json", "study.png"]):
        before = {path: path.read_bytes() for path in disk.iterdir()}
        assert sorted(path.name for path in before) == left
        with pytest.raises(OSError, match="No space left"):
            write_study(replace(small, warnings=["x" * 1000] * 600), disk)
        assert {path: path.read_bytes() for path in disk.iterdir()} == before
        write_study(small, disk)


def test_the_best_of_a_short_search_recommends_well():
    """The first trial is the defaults, so the rest can't make it worse than these after six epochs."""
    if reason := movielens.missing():
        pytest.skip(reason)
    options = StudyOptions(start=Hyperparameters(), trials=2, max_epochs=6)
    result = run_study(movielens.read(), split="first-10", options=options, reporter=Silent())
    assert result.value >= result.trials[0].value > 0.15
    assert result.test is not None
    assert result.test["test_precision_at_10_unseen"] > 0.2
    assert result.test["test_auc_unseen"] > 0.9
    assert result.validation_interactions == pytest.approx(result.fit_interactions / 9, rel=0.05)
    # Less those of items that the search has nothing else of.
    assert 90_500 < result.fit_interactions + result.validation_interactions <= 90_570
