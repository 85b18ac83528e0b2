"""The command-line client against a service that runs."""

from __future__ import annotations

import json
import socket
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
    return start_once(volume)


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


@pytest.mark.parametrize("flags", [["--exact"], ["--search-effort", "0.1"], ["--search-effort", "100"]])
def test_the_search_may_be_told_how_hard_to_look(run, expected, flags):
    """On so small a catalogue all of them find the truth."""
    for command, asked, scores in (
        ("recommend", "3", expected.scores("3")),
        ("similar-items", "0", expected.cosines("0")),
    ):
        status, output, errors = run(command, asked, "--json", *flags)
        assert (status, errors) == (0, "")
        assert [item["item_id"] for item in json.loads(output)["items"]] == best(scores, 10)


def test_other_spellings_of_ids_that_were_left_out_are_told(run):
    for arguments in (
        ["similar-items", "0", "007", "nothing", "--exclude", " 8"],
        ["recommend", "3", "--exclude", "007,nothing, 8"],
        ["similar-items", "0", "--exclude-item", " 8", "--exclude-item", "007"],
    ):
        status, output, errors = run(*arguments)
        assert (status, errors) == (0, "")
        assert "item '007' isn't in version" in output
        assert "(did you mean '7'?)" in output
        assert "(did you mean '8'?)" in output
        # The service says no more of what has no other spelling.
        assert "item 'nothing'" not in output


def test_an_id_of_any_script(run):
    for command, external_id in (("similar-items", "東京"), ("recommend", "用户")):
        status, output, _ = run(command, external_id)
        assert status == 0
        assert "Title of " in output


def test_status(run, service, version):
    status, output, errors = run("status")
    assert (status, errors) == (0, "")
    assert f"version {version}" in output
    for pid in service.worker_pids():
        assert f" {pid}  running  {version} " in output


def test_json(run, service, version):
    _, output, _ = run("status", "--json")
    content = json.loads(output)
    assert content["version"] == content["label_target"] == version
    assert [worker["index"] for worker in content["workers"]] == [*range(len(service.worker_pids()))]
    assert {worker["pid"] for worker in content["workers"]} == {*service.worker_pids()}
    _, output, _ = run("similar-items", "0", "--limit", "2", "--json")
    content = json.loads(output)
    assert content["version"] == version
    assert [item.keys() for item in content["items"]] == [
        {"item_id", "score", "title", "attributes", "explanation"}
    ] * 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["similar-items", "nobody"], "NOT_FOUND: item 'nobody' isn't in version"),
        (["recommend", "nobody"], "NOT_FOUND: user 'nobody' isn't in version"),
        (["recommend", ""], "INVALID_ARGUMENT: user_id: is empty"),
        (["similar-items", "x" * 513], "INVALID_ARGUMENT: item_id: has 513 bytes"),
        (["recommend", "0", "--limit", "0"], "INVALID_ARGUMENT: limit: is 0, but should be in 1..1000"),
        (["recommend", "0", "--limit", "-1"], "INVALID_ARGUMENT: limit: is -1"),
        (["similar-items", "0", "--limit", "1001"], "INVALID_ARGUMENT: limit: is 1001"),
        (
            ["recommend", "0", "--search-effort", "0"],
            "INVALID_ARGUMENT: search_effort: is 0, but should be in 0.1..100",
        ),
        (["similar-items", "0", "--search-effort", "100.5"], "search_effort: is 100.5, but should be"),
        (["similar-items", "0", "--search-effort", "nan", "--exact"], "search_effort: is nan, but"),
        (["recommend", "0", "--search-effort", "inf"], "search_effort: is inf, but should be"),
    ],
)
def test_a_refusal_is_one_line_and_status_1(run, arguments, message):
    status, output, errors = run(*arguments)
    assert (status, output) == (1, "")
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1
    assert message in errors


def test_a_number_that_no_message_holds_is_a_mistake_in_the_command_line(run):
    status, output, errors = run("similar-items", "0", "--limit", str(2**40))
    assert (status, output) == (2, "")
    assert errors.startswith("error: ")


@pytest.mark.parametrize("listens", [False, True])
def test_nobody_who_answers_is_one_line_and_status_1(capsys, listens):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:
            silent.listen()
        target = f"127.0.0.1:{silent.getsockname()[1]}"
        assert main(["recommend", "3", "--target", target, "--timeout", "0.2"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    said = (
        "DEADLINE_EXCEEDED: something takes connections there, but says nothing"
        if listens
        else f"UNAVAILABLE: connection refused: nobody listens at {target}"
    )
    assert captured.err == f"error: {target}: {said}\n"


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
