"""Asks a database of known vulnerabilities about every pinned package; `make audit` runs it.

Exit status 0: all packages are known to the database, and none has a vulnerability. 1: some have.
3: not audited, wholly or in part, since the database can't be reached or doesn't know a package.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightfm_retriever.hosting import terminal

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
FOUND, NOT_AUDITED = 1, 3
_SHOWN = 5


def verdict(packages: Sequence[dict[str, Any]]) -> tuple[int, str]:
    """The exit status and what to say, of the packages of pip-audit's JSON.

    pip-audit itself ends with 0 when it could ask about none of them.
    """
    skipped = [own["name"] for own in packages if "skip_reason" in own]
    bad = [
        f"{own['name']} {own['version']}: {', '.join(found['id'] for found in own['vulns'])}"
        for own in packages
        if own.get("vulns")
    ]
    asked = f"{len(packages) - len(skipped)} of {len(packages)} packages audited"
    if bad:
        return FOUND, f"{asked}; VULNERABLE:\n  " + "\n  ".join(bad)
    if skipped or not packages:
        names = ", ".join(skipped[:_SHOWN]) + (", ..." if len(skipped) > _SHOWN else "")
        return NOT_AUDITED, (
            f"NOT AUDITED: {asked}. The database can't be reached, or doesn't have: {names or 'any'}"
        )
    return 0, f"{asked}; no known vulnerability"


def main(arguments: Sequence[str] = ()) -> int:
    """Ask about all that constraints.txt pins; further arguments are pip-audit's."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", str(CONSTRAINTS), "--no-deps"]
    command += ["--disable-pip", "--progress-spinner", "off", "--format", "json", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        packages = json.loads(ended.stdout)["dependencies"]
    except (ValueError, KeyError):
        last = (ended.stderr.strip().splitlines() or ["it said nothing"])[-1]
        print(f"NOT AUDITED: pip-audit ended with status {ended.returncode}: {last}")
        return NOT_AUDITED
    status, text = verdict(packages)
    print(text)
    return status


if __name__ == "__main__":
    sys.exit(terminal.run(lambda: main(sys.argv[1:])))
