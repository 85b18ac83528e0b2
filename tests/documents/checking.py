"""Compare the output on a page with the output of today."""

from dataclasses import dataclass

from tests.documents.comparing import matched
from tests.documents.pages import Command
from tests.documents.running import Ran


@dataclass(frozen=True)
class Checked:
    """A comparison.

    Attributes:
        recorded: the output that the page shows; None if it need not show one.
        lines: the recorded lines with the fresh numbers; None where the two don't say the same.
        problem: what is wrong with the page, in a sentence and the fresh output; None for nothing.
    """

    recorded: Command | None = None
    lines: list[str] | None = None
    problem: str | None = None


def check(ran: Ran) -> Checked:
    """Compare the output of one command with the page, and look at its exit status."""
    step = ran.step
    shown = "\n".join(ran.output)
    recorded = step.commands[ran.command] if step.kind == "console" else step.output
    if ran.serves and not (recorded and recorded.output):
        return Checked()  # A page need not show a service's log.
    # A page that shows a failure shows its error.
    told = step.kind == "console" and any(
        line.startswith("error: ") for line in step.commands[ran.command].output
    )
    if ran.status and not told:
        return Checked(problem=f"line {step.at + 1} fails:\n{shown}")
    if recorded is None:
        return Checked()
    lines = matched(recorded.output, ran.output)
    if lines is None:
        text = recorded.text or "the output"
        return Checked(problem=f"line {recorded.at + 1}: {text}\nsays now:\n{shown}")
    return Checked(recorded, lines)
