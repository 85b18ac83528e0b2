"""Mistakes in command lines, and pages of help."""

from pathlib import Path

import pytest

from lightfm_retriever.hosting.errors import UsageError
from lightfm_retriever.hosting.settings.help_pages import CONNECTION
from lightfm_retriever.hosting.settings.parser import Program


def program():
    made = Program("own", "Do things.")
    ask = made.command(
        "Ask", "ask", "Ask something.", more="It takes 100% of a second.", epilog="More."
    )
    ask.add_argument("subject", metavar="SUBJECT", help="what to ask about")
    ask.add_argument("--limit", type=int, default=10, help="how many")
    ask.add_argument("--kind", choices=("plain", "odd"), help="of which kind")
    ask.add_argument("--timeout_seconds", type=float, help="how long")
    ask.add_argument("--file", type=Path, help="where")
    ask.add_argument("--range", nargs=2, type=float, metavar=("LOW", "HIGH"), help="from and to")
    either = ask.add_mutually_exclusive_group()
    either.add_argument("--fast", action="store_true", default=False, help="quickly")
    either.add_argument("--slow", action="store_true", default=False, help="slowly")
    made.command("Watch", "watch", "Watch it.")
    ask.add_argument_group(CONNECTION, "Of the service.").add_argument("--ca", help="a CA")
    return made


@pytest.mark.parametrize(
    ("line", "message", "see"),
    [
        ("", "missing: COMMAND", "own"),
        ("aks", "there is no command 'aks'; did you mean ask?", "own"),
        ("xyz", "there is no command 'xyz'", "own"),
        ("--verison", "there is no option --verison; did you mean --version?", "own"),
        ("ask", "missing: SUBJECT", "own ask"),
        ("ask x y", "'y' is one argument too many", "own ask"),
        ("ask x --limits 3", "there is no option --limits; did you mean --limit?", "own ask"),
        ("ask x --limits=3", "there is no option --limits; did you mean --limit?", "own ask"),
        # No abbreviations: they would change their meaning with each new flag.
        ("ask x --lim 3", "there is no option --lim; did you mean --limit?", "own ask"),
        ("ask x --xyz", "there is no option --xyz", "own ask"),
        ("ask x --limit", "--limit needs a value", "own ask"),
        ("ask x --range 1", "--range needs two values", "own ask"),
        ("ask x --limit many", "--limit is 'many', but should be a whole number", "own ask"),
        ("ask x --limit 1.5", "--limit is '1.5', but should be a whole number", "own ask"),
        ("ask x --file=", "--file is an empty path: give one, such as . for the current", "own ask"),
        ("ask x --kind pain", "but should be one of plain, odd; did you mean plain?", "own ask"),
        ("ask x --kind z", "--kind is 'z', but should be one of plain, odd", "own ask"),
        ("ask x --fast --slow", "give --slow or --fast, not both", "own ask"),
        ("ask x --fast=yes", "--fast takes no value", "own ask"),
    ],
)
def test_a_mistake_is_told_in_plain_words_with_what_was_meant(line, message, see):
    with pytest.raises(UsageError) as caught:
        program().parse_args(line.split())
    assert str(caught.value).startswith(message) or message in str(caught.value)
    assert caught.value.program == see


def test_what_looks_like_a_flag_may_be_a_value_after_two_dashes():
    assert program().parse_args(["ask", "--", "--limits"]).subject == "--limits"
    assert program().parse_args(["ask", "--limit", "-3", "x"]).limit == -3


def page(capsys, *line):
    with pytest.raises(SystemExit) as ended:
        program().parse_args(line)
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_page_of_a_program_groups_its_commands(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert page(capsys, "--help") == (
        "usage: own COMMAND [OPTION...]\n\nDo things.\n\n"
        "Ask:\n  ask    Ask something.\n\nWatch:\n  watch  Watch it.\n\n"
        "'own COMMAND --help' has its options, '--version' the release.\n"
    )
    assert page(capsys, "--version").startswith("own ")


def test_a_command_shows_everyday_options_and_all_by_topic(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = page(capsys, "ask", "-h")
    assert shown.startswith(
        "usage: own ask SUBJECT [OPTION...]\n\nAsk something. It takes 100% of a second.\n"
    )
    for line in ("SUBJECT ", "--limit N ", "how many (default: 10)\n", "--kind {plain,odd} "):
        assert line in shown
    assert "--timeout_seconds SECONDS" in shown
    assert "--file PATH" in shown
    assert "--ca" not in shown
    assert shown.endswith("\n--help-all shows every option, by topic: connection.\n")
    every = page(capsys, "ask", "--help-all")
    assert "connection:\n  Of the service.\n\n  --ca TEXT" in every
    assert "\nMore.\n" in every
    assert "None" not in shown + every


@pytest.mark.parametrize("columns", ["1", "9", "30"])
def test_a_narrow_terminal_gets_lines_of_40_columns(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", "42")
    expected = [page(capsys, *line) for line in (["-h"], ["ask", "-h"], ["ask", "--help-all"])]
    assert max(map(len, expected[1].splitlines())) <= 40
    monkeypatch.setenv("COLUMNS", columns)
    assert [page(capsys, *line) for line in (["-h"], ["ask", "-h"], ["ask", "--help-all"])] == expected


def test_everyday_options_are_shown_in_their_own_order(capsys):
    made = program()
    made.commands["ask"].everyday = ("--ca", "--limit")
    with pytest.raises(SystemExit):
        made.parse_args(["ask", "--help"])
    shown = capsys.readouterr().out
    assert "SUBJECT" in shown
    assert 0 < shown.index("--ca") < shown.index("--limit")
    assert "--kind" not in shown
    assert shown.endswith("\n--help-all shows every option.\n")
