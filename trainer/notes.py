"""Warnings that ask nobody to do anything: notes."""

NOTE = "note: "
"""How a note begins; a warning that doesn't begin so is one to look at."""

_ONE_IN = 200


def note_if_few(text: str, count: int, total: int) -> str:
    """Make a warning a note where fewer than one in 200 are concerned."""
    return f"{NOTE}{text}" if count * _ONE_IN < total else text
