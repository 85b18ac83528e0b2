"""What keeps a service from starting is said in one line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from tests import retrievable
from tests.service import PATIENCE


def run(*arguments, **environment):
    """Run what should end by itself."""
    command = [sys.executable, "-m", "retriever", "serve", *map(os.fspath, arguments)]
    return subprocess.run(
        command,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=PATIENCE,
        check=False,
    )


def refused(*arguments, status=1, **environment):
    done = run(*arguments, **environment)
    assert done.returncode == status
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    return done.stderr


def test_a_volume_that_is_no_folder(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"")
    for volume in (file, tmp_path / "missing"):
        assert refused("--volume", volume) == f"error: --volume {volume} isn't a folder\n"


def test_a_volume_that_no_system_call_takes():
    assert "File name too long" in refused("--volume", "x" * 300)


def test_a_volume_whose_name_is_no_text(tmp_path):
    volume = tmp_path / os.fsdecode(b"\xff")
    volume.mkdir()
    assert "--volume" in refused("--volume", volume)


@pytest.mark.parametrize("reuse", [False, True])
def test_a_port_that_is_taken(tmp_path, reuse):
    with socket.create_server(("127.0.0.1", 0), reuse_port=reuse) as other:
        address = f"127.0.0.1:{other.getsockname()[1]}"
        expected = f"error: --listen {address}: Address already in use\n"
        assert refused("--volume", tmp_path, "--listen", address) == expected


def test_a_port_that_another_service_serves_or_is_about_to(start, tmp_path):
    version = retrievable.publish(tmp_path)
    service = start(tmp_path, workers=1, serving=False)
    arguments = ("--volume", tmp_path, "--listen", service.target)
    expected = f"error: --listen {service.target}: "
    assert refused(*arguments).startswith(expected)
    service.wait_until_all_serve(version)
    assert refused(*arguments).startswith(expected)
    assert service.status().version == version


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--listen", "rubbish"], "'rubbish' should be HOST:PORT"),
        (["--listen", "a..b:1"], "65535, such as 10.0.0.1:50051 or [::1]:50051: 'a..b' is no host"),
        (["--listen", f"{'a' * 64}:1"], "a' can't be a host's name"),
        (["--workers", "0"], "--workers is 0, but should be in 1..256"),
        (["--label", "../x"], "--label is '../x', but should be"),
        (["--pin", "../x"], "--pin is '../x', but should be"),
        (["--max-calls", "0"], "--max-calls is 0, but should be in 1..4096"),
    ],
)
def test_a_flag_out_of_range(tmp_path, flags, message):
    assert message in refused("--volume", tmp_path, *flags, status=2)


def test_an_environment_that_makes_no_sense(tmp_path):
    assert "'x' should be HOST:PORT" in refused("--volume", tmp_path, status=2, RETRIEVER_LISTEN="x")
