"""Programs whose output nobody takes. Each runs in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lightfm_retriever.hosting import terminal

LINES = "for n in range(50_000): print('line', n)"


def start(body, *, out=subprocess.PIPE, err=subprocess.PIPE, stdin=None, **environment):
    lines = [
        "import argparse, errno, os, sys",
        "from lightfm_retriever.hosting import terminal",
        "def main():",
    ]
    lines += [f"    {line}" for line in body.splitlines()]
    lines += ["    return 0", "sys.exit(terminal.run(main))"]
    return subprocess.Popen(
        [sys.executable, "-c", "\n".join(lines)],
        stdin=stdin,
        stdout=out,
        stderr=err,
        text=True,
        env={**os.environ, **environment},
    )


def ended(body, **how):
    with start(body, **how) as process:
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors


@pytest.fixture
def hung_up():
    """A pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


@pytest.mark.parametrize(
    "body",
    [
        LINES,
        "print('one line')",
        "print('at once', flush=True)",
        "argparse.ArgumentParser(prog='p').parse_args(['--help'])",
        "from rich.console import Console\nConsole().print('one')",
    ],
)
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_that_hung_up_ends_it_quietly(hung_up, body, unbuffered):
    found = ended(body, out=hung_up, PYTHONUNBUFFERED=unbuffered)
    assert found == (terminal.CLOSED_PIPE, None, "")


def test_a_reader_that_hangs_up_after_a_line_ends_it_quietly():
    with start(LINES) as process:
        assert process.stdout.readline() == "line 0\n"
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == terminal.CLOSED_PIPE


@pytest.mark.parametrize(
    "body", [LINES, "print('one')", "argparse.ArgumentParser(prog='p').parse_args(['--help'])"]
)
def test_a_full_disk_is_said(body):
    with Path("/dev/full").open("w") as full:
        found = ended(body, out=full)
    assert found == (1, None, "error: the output can't be written: No space left on device\n")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_is_not_to_be_buffered_comes_at_once(stream):
    body = f"print('now', file=sys.{stream})\nsys.stdin.read()"
    with start(body, stdin=subprocess.PIPE, PYTHONUNBUFFERED="1") as process:
        assert getattr(process, stream).readline() == "now\n"
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_who_catches_all_errors_does_not_hide_it(hung_up):
    body = "try:\n    print('one', flush=True)\nexcept Exception:\n    pass"
    assert ended(body, out=hung_up) == (terminal.CLOSED_PIPE, None, "")


@pytest.mark.parametrize("error", ["BrokenPipeError(errno.EPIPE, 'x')", "OSError(errno.ENOSPC, 'x')"])
def test_an_error_that_is_not_of_the_output_stays_one(error):
    status, _, errors = ended(f"print('one')\nraise {error}")
    assert status == 1
    assert errors.rstrip().endswith("x")
    assert "Traceback" in errors


def closed(*descriptors):
    """A shell that closes these first."""
    return ["sh", "-c", f'exec "$@" {" ".join(f"{own}>&-" for own in descriptors)}', "sh"]


def test_an_output_that_is_closed_is_said():
    code = (
        "import sys; from lightfm_retriever.hosting import terminal; "
        "sys.exit(terminal.run(lambda: print('one') or 0))"
    )
    done = subprocess.run(
        [*closed(1), sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (1, "error: the output can't be written: it is closed\n")


def test_without_streams_no_file_takes_their_place(tmp_path):
    code = (
        "import sys; from lightfm_retriever.hosting import terminal\n"
        "def main():\n"
        f"    with open({str(tmp_path / 'file')!r}, 'w') as file:\n"
        "        print('a secret', file=sys.stderr)\n"
        "        return 7 if file.fileno() > 2 else 8\n"
        "sys.exit(terminal.run(main))"
    )
    done = subprocess.run([*closed(0, 1, 2), sys.executable, "-c", code], check=False)
    assert done.returncode == 7
    assert (tmp_path / "file").read_text() == ""


def test_messages_that_nobody_reads_end_nothing(hung_up):
    body = "print('warning', file=sys.stderr)\nprint('answer')"
    assert ended(body, err=hung_up) == (0, "answer\n", None)


def test_what_the_encoding_lacks_is_escaped():
    body = "print('µ 漢')\nterminal.print_json({'a': 'µ 漢 😀'})"
    status, output, errors = ended(body, PYTHONIOENCODING="ascii")
    assert (status, errors) == (0, "")
    first, _, rest = output.partition("\n")
    assert first == r"\xb5 \u6f22"
    assert json.loads(rest) == {"a": "µ 漢 😀"}


def test_what_is_no_unicode_is_escaped():
    status, output, errors = ended("print('\\udcff')\nterminal.print_json(['\\udcff', 'µ'])")
    assert (status, errors) == (0, "")
    first, _, rest = output.partition("\n")
    assert first == r"\udcff"
    assert json.loads(rest) == ["\udcff", "µ"]
    assert "µ" in rest


def test_ctrl_c_leaves_no_traceback():
    with start("import time\nprint('go', flush=True)\ntime.sleep(60)") as process:
        assert process.stdout.readline() == "go\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "interrupted\n"
        assert process.wait(timeout=60) == terminal.INTERRUPTED


def test_a_mistake_in_the_command_line_keeps_its_status():
    status, _, errors = ended("argparse.ArgumentParser(prog='p').parse_args(['--no'])")
    assert status == 2
    assert errors.endswith("p: error: unrecognized arguments: --no\n")


def test_captured_streams_stay_where_they_are(capsys):
    before = sys.stdout
    assert terminal.run(lambda: print("one") or 3) == 3
    assert sys.stdout is before
    assert capsys.readouterr().out == "one\n"
