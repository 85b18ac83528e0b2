"""What a program prints that failed."""

import argparse
import json

import pytest

from lightfm_retriever.hosting.errors import FlagError, HostingError, ServiceRefusedError, UsageError
from lightfm_retriever.hosting.settings import failures

OPTIONS = argparse.Namespace(command="serve", origins={"--workers": "SERVICE_WORKERS"})


@pytest.mark.parametrize(
    ("error", "is_mistake", "message", "hint"),
    [
        (HostingError("no file"), False, "no file", ""),
        (FlagError("--workers is 0"), True, "SERVICE_WORKERS is 0", "See 'own serve --help'.\n"),
        (UsageError("no such flag", "own ask"), True, "no such flag", "See 'own ask --help'.\n"),
    ],
)
def test_an_error_is_a_line_and_a_mistake_names_the_help(capsys, error, is_mistake, message, hint):
    status = failures.tell(error, "own", ["serve"], OPTIONS, is_mistake=is_mistake)
    assert status == (2 if is_mistake else 1)
    assert capsys.readouterr() == ("", f"error: {message}\n{hint}")
    # Under --json it is one object, and the same status.
    assert failures.tell(error, "own", ["--json"], OPTIONS, is_mistake=is_mistake) == status
    output, errors = capsys.readouterr()
    assert (output, json.loads(errors)) == ("", {"error": {"message": message, "status": status}})


def test_what_a_service_says_for_programs_is_there_for_programs(capsys):
    error = ServiceRefusedError("a:1: --limit is 0", "limit")
    assert failures.tell(error, "own", ["ask", "--json"], OPTIONS, is_mistake=True) == 2
    told = {"message": str(error), "status": 2, "code": "INVALID_ARGUMENT", "field": "limit"}
    assert json.loads(capsys.readouterr().err) == {"error": told}


def test_a_mistake_before_any_command_names_the_help_of_the_program(capsys):
    failures.tell(FlagError("x"), "own", [], argparse.Namespace(), is_mistake=True)
    assert capsys.readouterr().err == "error: x\nSee 'own --help'.\n"
