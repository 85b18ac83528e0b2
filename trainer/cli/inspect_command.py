"""`lightfm-trainer inspect`: its flags, its work and its output."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from lightfm_retriever.hosting.settings.option_flags import made
from lightfm_retriever.hosting.settings.parser import Program
from lightfm_retriever.hosting.terminal import print_json
from trainer.cli import spec_arguments
from trainer.cli.published_arguments import add_json
from trainer.data.files import layout
from trainer.data.files.file_form import COLUMNS, FileForm, FileKind
from trainer.errors import OptionError

if TYPE_CHECKING:
    # The flags need none of it.
    from trainer.inspection.facts import FileFindings, InteractionFacts

NAME = "inspect"


def add(program: Program) -> None:
    """Add the command."""
    inspect = program.command(
        "Train",
        NAME,
        "Say how files would be read, and print the command.",
        more="Finds the separator, encoding, header, columns and dates of files of interactions, items "
        "and users. Reads them as 'train' does, and changes nothing.",
    )
    inspect.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="FILE",
        help="files of interactions, items or users; the columns decide, or options for one kind",
    )
    named = inspect.add_argument_group("kinds of files")
    for kind in COLUMNS:
        named.add_argument(
            f"--{kind}",
            type=Path,
            default=argparse.SUPPRESS,
            metavar="FILE",
            help=f"a file of {kind}, if its columns don't say it",
        )
    spec_arguments.add_form(inspect)
    add_json(inspect)
    inspect.everyday = ("--interactions", "--items", "--users", "--columns", "--header", "--json")


def run(options: argparse.Namespace, *, now: float) -> int:
    """Inspect and print; returns the exit status. Raises TrainerError."""
    from trainer.inspection.inspect import Inspector

    given = vars(options)
    named: list[tuple[Path, FileKind | None]]
    named = [(given[kind], kind) for kind in COLUMNS if kind in given]
    if not named and not options.files:
        raise OptionError("FILE", None, "a file of interactions, items or users")
    form = made(FileForm, given)
    if len(options.files) == 1 and not named:
        # Options about one kind of file say what the only file is.
        [path], kinds = options.files, [kind for kind in COLUMNS if form.given(kind)]
        named = [(path, kinds[0] if len(kinds) == 1 else None)]
    else:
        named += [(path, None) for path in options.files]
    inspector = Inspector(form, now=now)
    for path, kind in named:
        inspector.add(path, kind)
    result = inspector.result()
    if options.json:
        print_json(asdict(result))
        return 0
    for facts in result.files:
        _print_file(facts)
    if not result.complete:
        print("train with a file of interactions in place of INTERACTIONS:")
    else:
        print("train with:")
    print(f"  {result.command}")
    return 0


def _print_file(facts: FileFindings) -> None:
    from lightfm_retriever.hosting import tables
    from trainer.cli.printed import printing

    own = facts.written
    parts = [f"{facts.path}: {facts.kind}, {own.format}"]
    if own.separator is not None:
        parts.append(f"separator '{layout.shown_separator(own.separator)}'")
    if own.encoding is not None:
        parts.append(f"encoding {own.encoding}")
    if own.has_header is not None:
        parts.append("with a header" if own.has_header else "without a header")
    print(", ".join(parts))
    rows = tables.table("  column", "read as", "type", "first value")
    for column in facts.columns:
        rows.add_row(f"  {column.name}", column.read_as or "-", column.type, column.example)
    tables.show(rows)
    if facts.interactions is not None:
        _print_interactions(facts.interactions)
    if facts.table is not None:
        parts = [f"{facts.table.rows:,} {facts.kind}"]
        if facts.table.titles is not None:
            parts.append(f"{facts.table.titles:,} with a title")
        if facts.table.matching is not None:
            parts.append(f"{facts.table.matching:,} in the interactions")
        print(f"  {', '.join(parts)}")
        _print_invalid(facts.table.invalid)
    for hint in facts.hints:
        print(f"  {hint}")
    printing.print_warnings(facts.warnings)


def _print_interactions(found: InteractionFacts) -> None:
    print(
        f"  {found.rows:,} rows, {found.users:,} users, {found.items:,} items, {found.pairs:,} pairs, "
        f"density {found.density:.3%}"
    )
    if found.first is not None:
        print(f"  dates from {found.first} to {found.last}")
    if found.weights is not None:
        least, median, largest = found.weights
        text = f"  weights from {least:g} to {largest:g}, median {median:g}"
        if found.not_positive:
            text += f"; {found.not_positive:,} rows have 0 or less, so they are no positives"
        print(text)
    if found.events:
        told = ", ".join(f"{name or 'no type'} {count:,}" for name, count in found.events.items())
        print(f"  events: {told}")
    _print_invalid(found.invalid)


def _print_invalid(invalid: Mapping[str, int]) -> None:
    if invalid:
        print(f"  {sum(invalid.values()):,} invalid rows:")
        for reason, count in invalid.items():
            print(f"    {count:,}: {reason}")
