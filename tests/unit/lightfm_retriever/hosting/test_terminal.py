"""Programs whose output nobody takes. Each runs in a process of its own."""

import json
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from lightfm_retriever.hosting import terminal

BEGIN = """
import argparse, errno, os, sys, time
from lightfm_retriever.hosting import terminal
def main():
"""


def start(body, *, out=subprocess.PIPE, err=subprocess.PIPE, closed=(), **environment):
    code = f"{BEGIN}{textwrap.indent(body, '    ')}\n    return 0\nsys.exit(terminal.run(main))"
    shell = ["sh", "-c", f'exec "$@" {" ".join(f"{own}>&-" for own in closed)}', "sh"]
    command = [*shell, sys.executable, "-c", code]
    streams = {"stdin": subprocess.PIPE, "stdout": out, "stderr": err}
    return subprocess.Popen(command, text=True, env={**os.environ, **environment}, **streams)


def ended(body, **how):
    with start(body, **how) as process:
        output, errors = process.communicate(timeout=60)
        return process.returncode, output, errors


@pytest.fixture
def hung_up():
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)


def test_a_reader_that_hung_up_ends_it_quietly_and_one_of_messages_nothing(hung_up):
    for body, unbuffered in (
        ("for n in range(50_000): print('line', n)", ""),
        ("print('one line')", "1"),
        ("try:\n    print('one', flush=True)\nexcept Exception:\n    pass", ""),
        ("from rich.console import Console\nConsole().print('one')", ""),
    ):
        found = ended(body, out=hung_up, PYTHONUNBUFFERED=unbuffered)
        assert found == (terminal.CLOSED_PIPE, None, "")
    body = "print('warning', file=sys.stderr)\nprint('answer')"
    assert ended(body, err=hung_up) == (0, "answer\n", None)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_is_not_to_be_buffered_comes_at_once(stream):
    body = f"print('now', file=sys.{stream})\nsys.stdin.read()"
    with start(body, PYTHONUNBUFFERED="1") as process:
        assert getattr(process, stream).readline() == "now\n"
        process.stdin.close()
        assert process.wait(timeout=60) == 0


def test_an_error_that_is_not_of_the_output_stays_one():
    for body, status, last in (
        ("print('one')\nraise BrokenPipeError(errno.EPIPE, 'x')", 1, "x\n"),
        ("argparse.ArgumentParser().parse_args(['--no'])", 2, "unrecognized arguments: --no\n"),
    ):
        found, _, errors = ended(body)
        assert (found, "Traceback" in errors) == (status, status == 1)
        assert errors.endswith(last)


def test_without_streams_no_file_takes_their_place(tmp_path):
    body = f"""with open({str(tmp_path / "file")!r}, 'w') as file:
    print('a secret', file=sys.stderr)
    return 7 if file.fileno() > 2 else 8"""
    assert ended(body, closed=(0, 1, 2)) == (7, "", "")
    assert (tmp_path / "file").read_text() == ""


def test_what_the_encoding_lacks_or_is_no_unicode_is_escaped():
    for text, encoding, escaped in (
        ("µ 漢 😀", "ascii", r"\xb5 \u6f22 \U0001f600"),
        ("\udcff µ", "utf-8", r"\udcff µ"),
    ):
        body = f"print({text!a})\nterminal.print_json({text!a}, indent=None)"
        status, output, errors = ended(body, PYTHONIOENCODING=encoding)
        assert (status, errors) == (0, "")
        first, rest = output.splitlines()
        assert first == escaped
        assert json.loads(rest) == text
        assert ("µ" in rest) == (encoding == "utf-8")


@pytest.mark.parametrize(("given", "used"), [("", "NONE"), ("INFO", "INFO")])
def test_grpc_has_no_lines_of_its_own_unless_somebody_wants_them(given, used):
    body = "print(os.environ['GRPC_VERBOSITY'])"
    assert ended(body, GRPC_VERBOSITY=given) == (0, f"{used}\n", "")


def test_ctrl_c_leaves_no_traceback():
    with start("print('go', flush=True)\ntime.sleep(60)") as process:
        assert process.stdout.readline() == "go\n"
        process.send_signal(signal.SIGINT)
        assert process.stderr.read() == "interrupted\n"
        assert process.wait(timeout=60) == terminal.INTERRUPTED


def test_captured_streams_stay_where_they_are(capsys):
    assert terminal.run(lambda: print("one") or 3) == 3
    assert capsys.readouterr().out == "one\n"


def test_an_error_is_a_line_and_its_hint_or_one_object_of_json(capsys):
    assert terminal.tell_error("no such file", 1, as_json=False, hint="", code="X") == 1
    assert terminal.tell_error("no such flag", 2, as_json=False, hint="See this.") == 2
    said = "error: no such file\nerror: no such flag\nSee this.\n"
    assert capsys.readouterr() == ("", said)
    assert terminal.tell_error("a \udcff", 2, as_json=True, hint="See this.", code="X", field="") == 2
    output, errors = capsys.readouterr()
    assert (output, errors.count("\n")) == ("", 1)
    assert json.loads(errors) == {"error": {"message": "a \udcff", "status": 2, "code": "X"}}


def test_what_ends_a_command_that_prints_json_is_json_too(capsys):
    def interrupt():
        raise KeyboardInterrupt

    assert terminal.run(interrupt, as_json=True) == terminal.INTERRUPTED
    told = {"message": "interrupted", "status": terminal.INTERRUPTED}
    assert json.loads(capsys.readouterr().err) == {"error": told}
    for arguments, asks in ((["a", "--json"], True), (["a", "--", "--json"], False), ([], False)):
        assert terminal.asks_for_json(arguments) is asks
