"""Commands whose output nobody reads, or can be written nowhere: real processes of both programs."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests import datasets, retrievable
from tests.service import Service

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
QUICK = ["--components", "4", "--epochs", "2", "--index-threads", "1", "--trees", "3"]
TRACES = ("Traceback", "Exception", "BrokenPipe", "Error:")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A volume, a retriever of it, and files to ask with."""
    folder = tmp_path_factory.mktemp("terminal")
    volume = folder / "volume"
    retrievable.publish(volume)
    datasets.write_rows(folder / "rows.csv")
    (folder / "asked.jsonl").write_text('{"user_id": "0"}\n' * 200)
    with Service(volume, folder / "log", workers=1) as service:
        service.wait_until(lambda status: status.version)
        yield {"volume": str(volume), "folder": str(folder), "target": service.target}


def commands(place):
    retriever = [sys.executable, "-m", "retriever"]
    volume, target = ["--volume", place["volume"]], ["--target", place["target"]]
    train = ["train", "--interactions", f"{place['folder']}/rows.csv", *QUICK, "--no-label", *volume]
    return {
        "help": [str(BIN / "lightfm-retriever"), "serve", "--help"],
        "versions": [str(BIN / "lightfm-trainer"), "versions", *volume],
        "train": [sys.executable, "-m", "trainer", *train],
        "recommend": [*retriever, "recommend", "0", *target],
        "batch": [*retriever, "batch-recommend", f"{place['folder']}/asked.jsonl", *target],
        "page": [
            sys.executable,
            "docs/capacity.py",
            "--users",
            "1",
            "--items",
            "1",
            "--rate",
            "1",
            "--json",
        ],
    }


def run(command, **streams):
    streams = {"stderr": subprocess.PIPE, "text": True, "check": False, "timeout": 100, **streams}
    done = subprocess.run(command, cwd=ROOT, **streams)
    assert not [word for word in TRACES if word in done.stderr], done.stderr
    return done


@pytest.mark.parametrize("name", commands({"volume": "", "folder": "", "target": ""}))
def test_a_reader_that_hung_up_ends_it_quietly(place, name):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = run(commands(place)[name], stdout=pipe)
    assert done.returncode == 141
    assert "error" not in done.stderr


@pytest.mark.parametrize(
    ("name", "to", "why"),
    [
        *((name, "/dev/full", "No space left on device") for name in ("help", "batch")),
        *((name, "&-", "it is closed") for name in ("help", "recommend")),
    ],
)
def test_a_full_disk_and_an_output_that_is_closed_are_said(place, name, to, why):
    done = run(["sh", "-c", f'exec "$@" >{to}', "sh", *commands(place)[name]])
    assert (done.returncode, done.stderr) == (1, f"error: the output can't be written: {why}\n")


def test_answers_go_to_the_output_though_errors_are_a_terminal(place):
    """Bars on the terminal must not take what is printed into a file."""
    own, other = pty.openpty()
    with os.fdopen(own), os.fdopen(other) as terminal:
        output = subprocess.check_output(commands(place)["batch"], stderr=terminal, text=True)
    assert len(output.splitlines()) == 200


def test_without_an_input_a_batch_says_so(place):
    command = [sys.executable, "-m", "retriever", "batch-recommend", "-", "--target", place["target"]]
    done = run(["sh", "-c", 'exec "$@" <&-', "sh", *command], stdout=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: standard input is closed: give a file\n"
