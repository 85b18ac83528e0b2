"""Mark warnings that need no action as notes."""

NOTE = "note: "
"""The prefix of a note. A warning without it needs attention."""

_ONE_IN = 200


def note_if_few(text: str, count: int, total: int) -> str:
    """Make a warning a note if it concerns fewer than one in 200."""
    return f"{NOTE}{text}" if count * _ONE_IN < total else text
