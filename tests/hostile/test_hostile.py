"""Each kind of damage once, and that the campaign's judge finds what it should."""

import re
import subprocess
import sys
import time
from pathlib import Path
from random import Random

import pytest

import tests.hostile.damages  # noqa: F401 - registers the kinds
from lightfm_retriever.publication.labels import list_labels
from lightfm_retriever.publication.reader import list_versions
from tests.hostile.bench import Bench, memory_folder
from tests.hostile.campaign import Campaign
from tests.hostile.damage import KINDS, Case, Damage, drawn, plainest
from tests.hostile.good import RECIPES
from tests.hostile.judge import Expected, Looks, Run, Verdict, judge
from tests.hostile.writing import SOURCES
from trainer.__main__ import main
from trainer.promotion.checks import Checked, Checks

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 1200
GOOD = Looks(0.4, frozenset({"kind of price: number", "title of 1: A", "title of 2: B"}))


@pytest.mark.timeout(MOST_SECONDS)
def test_no_damage_gets_past_the_trainer_unseen(tmp_path):
    # Each kind is tried once however short; `make hostile-data` goes on.
    command = [sys.executable, "-m", "tests.hostile", "--seed", "1", "--seconds", "1"]
    ended = subprocess.run(
        [*command, "--keep", str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    tried = re.findall(r"^(\S.+?) {2,}\d+ ", ended.stdout, re.MULTILINE)
    assert {*tried} == KINDS.keys()
    assert ended.stdout.endswith(" cases, 0 findings\n")


@pytest.fixture(scope="module")
def bench():
    with memory_folder() as folder:
        yield Bench(folder, main, now=time.time())


# Something that changes nothing, since a case's recipes are those of its damages.
SAME = [Damage("times as text", {"share": "one", "zone": "Z"}, recipe) for recipe in RECIPES]


@pytest.mark.parametrize(
    "case",
    [
        *(Case(source, "text", ()) for source in SOURCES),
        *(Case("csv", "integer", (same,)) for same in SAME),
    ],
)
def test_undamaged_input_is_harmless_however_it_comes_and_by_every_recipe(bench, case):
    tried = bench.try_case(case)
    assert tried.verdict == Verdict("harmless", "precision@10 100% of the good version's"), tried.said


TOLD = ("refused", "gated", "warned")


@pytest.mark.parametrize("name", ["titles of other items", "numbered anew", "a byte order mark"])
def test_what_the_trainer_tells_is_found_when_it_no_longer_does(bench, monkeypatch, name):
    case = plainest(KINDS[name])
    told, silent = (("harmless",), "harmless") if name == "a byte order mark" else (TOLD, "finding")
    assert bench.try_case(case).verdict.outcome in told
    good = list_versions(bench.volume)
    monkeypatch.setattr("trainer.promotion.continuity.check", lambda *_, **__: ([], []))
    assert bench.try_case(case).verdict.outcome == silent
    # And it is the trainer's answer that makes the difference.
    monkeypatch.undo()
    assert bench.try_case(case).verdict.outcome in told
    # Each case leaves the volume as it was.
    assert list_versions(bench.volume) == good
    assert list_labels(bench.volume)["current"] in good


def test_a_campaign_finds_what_a_trainer_without_checks_lets_pass(bench, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("trainer.promotion.continuity.check", lambda *_, **__: ([], []))
    monkeypatch.setattr(Checks, "published", lambda _, own, __: Checked(**vars(own), gates=[]))
    campaign = Campaign(bench, [KINDS["numbered anew"]], seed=1, keep=tmp_path)
    campaign.run(0)
    assert campaign.cases == 1
    [(key, tried)] = campaign.findings.items()
    assert key == ("numbered anew", "worse, and no word of the cause")
    # What is printed and kept is enough to repeat it.
    assert tried.case.text() in capsys.readouterr().out
    assert (tmp_path / "finding-1" / "log.csv").read_text().startswith("user_id,item_id,")
    assert bench.try_case(Case.parse(tried.case.text())).verdict == tried.verdict


CAUSE = [r"\bprice\b"]
BAD = Looks(0.2, GOOD.facts)
SAID = "gate passed: the column price is kept\n"
SILENT = Run(0, SAID, ["v"], GOOD)
REFUSED = Run(1, "error: goods.csv: price is 'N/A'\n", [], None)


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (REFUSED, "refused"),
        (Run(1, "error: something is wrong\n", [], None), "finding"),
        (Run(1, "error: price\n", ["20260101T000000Z-000000"], None), "finding"),
        (Run(3, "gate FAILED: price was number\n", ["v"], None), "gated"),
        (Run(3, "gate passed: price\ngate FAILED: AUC\n", ["v"], None), "finding"),
        (Run(3, "gate FAILED: price was number\n", ["v"], GOOD), "finding"),
        (Run(0, "warning: price is odd\n", ["v"], BAD), "warned"),
        (Run(0, "warning: price is as odd as ever, 7 times\n", ["v"], BAD), "finding"),
        (Run(0, SAID, ["v"], BAD), "finding"),
        (SILENT, "harmless"),
        (Run(0, SAID, ["v"], Looks(0.37, GOOD.facts)), "harmless"),
        (Run(0, SAID, ["v"], Looks(0.4, GOOD.facts - {"kind of price: number"})), "finding"),
        (Run(0, SAID, ["v"], Looks(0.4, GOOD.facts - {"title of 1: A"})), "finding"),
        (Run(0, SAID, ["v"], None), "finding"),
        (Run(0, "/x/y.py:3: RuntimeWarning: overflow\nwarning: price\n", ["v"], GOOD), "finding"),
        (Run(None, "Traceback (most recent call last):\n  price\n", [], None), "finding"),
        (Run(2, "error: price\n", [], None), "finding"),
    ],
)
def test_judgement(run, outcome):
    usual = {"warning: price is as odd as ever, # times"}
    assert judge(run, Expected(CAUSE, GOOD, usual)).outcome == outcome


def test_good_input_has_to_be_published_and_what_is_surely_wrong_told():
    assert judge(REFUSED, Expected(CAUSE, GOOD, accepted=True)).outcome == "finding"
    assert judge(SILENT, Expected(CAUSE, GOOD, accepted=True)).outcome == "harmless"
    assert judge(SILENT, Expected(CAUSE, GOOD, told=True)).outcome == "finding"


def test_the_same_seed_draws_the_same_cases_of_all_kinds():
    kinds = [*KINDS.values()]
    draws = ([drawn(random, kinds) for _ in range(25)] for random in map(Random, (1, 1, 2)))
    first, again, other = draws
    assert first == again != other
    assert {len(own.damages) for own in first} == {1, 2}
    assert all(Case.parse(own.text()) == own for own in first)
