"""An audit that asked nobody isn't one that found nothing."""

import subprocess

import pytest

from tests import audit

SOUND = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "CVE-2026-1"}, {"id": "CVE-2026-2"}]}
SKIPPED = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "status", "text"),
    [
        ([SOUND], 0, "1 of 1 packages audited; no known vulnerability"),
        ([SOUND, BAD], 1, "b 2: CVE-2026-1, CVE-2026-2"),
        ([SOUND, SKIPPED], 3, "NOT AUDITED: 1 of 2 packages audited"),
        ([SKIPPED, BAD], 1, "1 of 2 packages audited; VULNERABLE"),
        ([SKIPPED] * 9, 3, "doesn't have: c, c, c, c, c, ..."),
        ([], 3, "NOT AUDITED: 0 of 0"),
    ],
)
def test_the_verdict(packages, status, text):
    found, said = audit.verdict(packages)
    assert (found, text in said) == (status, True), said


def test_an_audit_that_failed_says_why(monkeypatch, capsys):
    ended = subprocess.CompletedProcess([], 1, stdout="", stderr="Traceback\nNo route to host\n")
    monkeypatch.setattr(audit.subprocess, "run", lambda *_, **__: ended)
    assert audit.main() == 3
    assert capsys.readouterr().out == "NOT AUDITED: pip-audit ended with status 1: No route to host\n"
