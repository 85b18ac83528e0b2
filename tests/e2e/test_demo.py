"""What a new user sees first: `make demo`, but for its set-up."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lightfm_retriever.publication.labels import read_label
from lightfm_retriever.publication.verification import verify

ROOT = Path(__file__).parents[2]
# One that trains for no longer than it takes to have something to serve.
QUICK_DEMO = """
import functools, runpy, sys
from trainer import spec
from trainer.models.given import GivenHyperparameters

quick = GivenHyperparameters(components=4, epochs=1)
spec.TrainingSpec = functools.partial(spec.TrainingSpec, hyperparameters=quick)
runpy.run_path("docs/demo.py", run_name="__main__")
"""


def start_demo(volume, *flags):
    command = [sys.executable, "-c", QUICK_DEMO, "--volume", str(volume), *flags]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, process_group=0, **streams)


def listening(output):
    host, port, pid = re.search(r"listening on (\S+):(\d+) with 2 workers, pid (\d+)", output).groups()
    return (host, int(port)), int(pid)


def assert_stopped(address, pid):
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, timeout=5)


def test_it_publishes_what_it_serves_shows_it_and_stops_what_it_started(tmp_path):
    volume = tmp_path / "volume"
    with start_demo(volume) as process:
        output, errors = process.communicate(timeout=100)
    assert process.returncode == 0, errors
    version = read_label(volume, "current")
    assert f"published {version}" in output
    assert verify(volume, version).users == 943
    assert_stopped(*listening(output))
    # Neighbours, and what is served beside exact scoring.
    shown = output.split("nearest to Star Wars (1977)")[1].split("Recommend:")[0]
    cosines = [float(found) for found in re.findall(r"^(-?\d\.\d{4})  \S", shown, re.MULTILINE)]
    assert len(cosines) == 10
    assert cosines == sorted(cosines, reverse=True)
    for user_id in ("3", "25", "450"):
        rows = output.split(f"user {user_id} liked ")[1].splitlines()[2:5]
        assert [len(re.findall(r"-?\d+\.\d{3} .*?\(\d{4}\)", row)) for row in rows] == [2, 2, 2]
    assert re.search(r"For all 943 users, (9\.[5-9]|10\.0)\d of the 10 films served", output)
    # After one epoch, simple models are better.
    warnings = re.findall(r"^warning: .*", output + errors, flags=re.MULTILINE)
    assert all("popular" in own or "ranks better than this model" in own for own in warnings), warnings
    # A session, a filter, and batches.
    session = output.split("looked at Fargo (1996) and Pulp Fiction (1994)")[1].splitlines()[2:7]
    for line in session:
        assert re.match(r"-?\d\.\d{4}  .*\(\d{4}\) +(Fargo|Pulp Fiction) \(\d{4}\) \(\+\d", line)
    filtered = output.split("romances since 1990, no drama")[1].splitlines()[2:7]
    for line in filtered:
        assert int(re.search(r"\((\d{4})\)", line)[1]) >= 1990
        assert "Romance" in line
        assert "Drama" not in line
    assert re.search(r"all 943 users, 64 a call: \d+ µs a user", output)
    assert re.findall(r"^(\d)\. ", output.split("== Next steps")[1], re.MULTILINE) == ["1", "2", "3"]


def test_interrupted_it_stops_the_retriever(tmp_path):
    with start_demo(tmp_path / "volume") as process:
        printed = next(line for line in process.stdout if "listening on" in line)
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert_stopped(*listening(printed))


def test_without_movielens_it_says_how_to_get_it(tmp_path):
    with start_demo(tmp_path / "volume", "--data-dir", str(tmp_path)) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "lightfm-trainer fetch-dataset movielens-100k" in errors
    assert "Traceback" not in errors
