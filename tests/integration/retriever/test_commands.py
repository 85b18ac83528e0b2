"""The command-line client against a service that runs."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from retriever.__main__ import main
from tests import retrievable
from tests.retrievable import Expected
from tests.service import PATIENCE


@pytest.fixture(scope="module")
def volume(tmp_path_factory):
    return tmp_path_factory.mktemp("commands") / "volume"


@pytest.fixture(scope="module")
def version(volume):
    return retrievable.publish(volume)


@pytest.fixture(scope="module")
def service(start_once, volume, version):
    return start_once(volume, workers=1)


@pytest.fixture(scope="module")
def expected(volume, version):
    return Expected.of(volume, version)


@pytest.fixture
def run(service, capsys):
    """Runs a command in this process; returns its exit status, its output and its errors."""

    def run(*arguments):
        status = main([*arguments, "--target", service.target, "--timeout", str(PATIENCE)])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


def best(scores, count):
    return sorted(scores, key=scores.__getitem__, reverse=True)[:count]


def test_similar_items_with_titles(run, expected, version):
    status, output, errors = run("similar-items", "0", "--limit", "3")
    assert (status, errors) == (0, "")
    head, *rows, last = output.splitlines()
    assert head.split() == ["score", "item_id", "title"]
    assert last.startswith(f"version {version}, similar by exact: ")
    cosines = expected.cosines("0")
    assert len(rows) == 3
    for row, item_id in zip(rows, best(cosines, 3), strict=True):
        assert row.startswith(f"{cosines[item_id]:.4f} ")
        assert row.endswith(expected.title(item_id))


def test_recommend_with_and_without_what_was_seen(run, expected):
    user_id = "8"
    for flags, scores in (
        ([], expected.scores(user_id)),
        (["--include-seen"], expected.all_scores(user_id)),
    ):
        status, output, _ = run("recommend", user_id, "--limit", "1000", "--json", *flags)
        assert status == 0
        found = [item["item_id"] for item in json.loads(output)["items"]]
        assert found == best(scores, 1000)
    assert len(expected.scores(user_id)) < len(expected.all_scores(user_id))


def test_status_for_people_and_for_machines(run, service, version):
    status, output, errors = run("status")
    assert (status, errors) == (0, "")
    assert f"version {version}" in output
    [pid] = service.worker_pids()
    assert f" {pid}  running  {version} " in output
    _, output, _ = run("status", "--json")
    content = json.loads(output)
    assert content["version"] == content["label_target"] == version
    assert [(worker["index"], worker["pid"]) for worker in content["workers"]] == [(0, pid)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["similar-items", "nobody"], "NOT_FOUND: item 'nobody' isn't in version"),
        (["recommend", "nobody"], "NOT_FOUND: user 'nobody' isn't in version"),
        (["recommend", ""], "INVALID_ARGUMENT: user_id: is empty"),
        (["recommend", "0", "--limit", "-1"], "INVALID_ARGUMENT: limit: is -1"),
        (["similar-items", "0", "--search-effort", "nan", "--exact"], "search_effort: is nan, but"),
    ],
)
def test_a_refusal_is_one_line_and_status_1(run, arguments, message):
    status, output, errors = run(*arguments)
    assert (status, output) == (1, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors


def test_as_a_process(service, version):
    def run(*arguments):
        return subprocess.run(
            [sys.executable, "-m", "retriever", *arguments, "--target", service.target],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    done = run("recommend", "0")
    assert (done.returncode, done.stderr) == (0, "")
    assert f"version {version}" in done.stdout
    done = run("recommend", "nobody")
    assert (done.returncode, done.stdout) == (1, "")
    assert run("recommend").returncode == 2
