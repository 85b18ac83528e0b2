"""The command-line client as a process, against a service that runs."""

import json
import subprocess
import sys

from tests import retrievable
from tests.retrievable import Expected
from tests.service import PATIENCE


def test_commands_ask_a_service(start, tmp_path):
    version = retrievable.publish(tmp_path)
    service, expected = start(tmp_path, workers=1), Expected.of(tmp_path, version)

    def run(*arguments):
        command = [sys.executable, "-m", "retriever", *arguments, "--target", service.target]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        return done.returncode, done.stdout, done.stderr

    cosines = expected.cosines("0")
    status, output, errors = run("similar-items", "0", "--limit", "3")
    assert (status, errors) == (0, "")
    head, *rows, last = output.splitlines()
    assert head.split() == ["score", "item_id", "title"]
    assert last.startswith(f"version {version}, similar by exact: ")
    for row, item_id in zip(rows, sorted(cosines, key=cosines.get, reverse=True)[:3], strict=True):
        assert row.startswith(f"{cosines[item_id]:.4f} ")
        assert row.endswith(expected.title(item_id))
    scores = expected.all_scores("8")
    status, output, _ = run("recommend", "8", "--limit", "1000", "--json", "--include-seen")
    found = [item["item_id"] for item in json.loads(output)["items"]]
    assert (status, found) == (0, sorted(scores, key=scores.get, reverse=True))
    assert f" {service.worker_pids()[0]}  running  {version} " in run("status")[1]
    status, output, errors = run("recommend", "nobody")
    assert (status, output, errors.count("\n")) == (1, "", 1)
    assert "NOT_FOUND: user 'nobody' isn't in version" in errors
    assert run("recommend")[0] == 2
