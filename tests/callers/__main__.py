"""Measures what clients in several languages see of a restart in place, for other-languages.md.

python -m tests.callers
"""

from tests.callers.command import LANGUAGES, missing
from tests.callers.restart import POLICY, over_a_restart


def main() -> None:
    """Print the table."""
    print("| Client | Service config | waitForReady by the call | Calls | Failed |")
    print("| --- | --- | --- | --- | --- |")
    for language in LANGUAGES:
        if problem := missing(language):
            print(f"| {language} | {problem} |")
            continue
        for config, waits in (("", False), (POLICY, False), (POLICY, True)):
            counts = over_a_restart(language, config=config, waits=waits)
            total = sum(counts.values())
            failed = {code: count for code, count in counts.items() if code != "OK"}
            told = ", ".join(f"{count} {code}" for code, count in sorted(failed.items())) or "0"
            shown = ["yes" if given else "no" for given in (config, waits)]
            print(f"| {language} | {' | '.join(shown)} | {total} | {told} |", flush=True)


if __name__ == "__main__":
    main()
