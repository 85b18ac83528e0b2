"""Answers a file of JSON lines with JSON lines: many requests, in batches."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from recsys.retriever.v1 import retriever_service_pb2 as pb
from rich.console import Console
from rich.progress import Progress

from lightfm_retriever.files.regular_files import open_given
from lightfm_retriever.hosting import words
from lightfm_retriever.hosting.terminal import print_json
from retriever.answering.batches import MAX_RESULTS
from retriever.answering.questions import DEFAULT_LIMIT, MAX_REQUEST_BYTES
from retriever.cli import json_requests
from retriever.cli.json_requests import JsonRequestError
from retriever.client import Answer, CallError, RetrieverClient
from retriever.errors import RetrieverError

BATCH = 64
"""Requests of one call: enough to hide the cost of a call, and few enough to wait for."""

# Bytes of a request in a batch, besides its own.
_ENTRY_BYTES = 16

_Line = tuple[int, Any]


def run(client: RetrieverClient, options: argparse.Namespace) -> int:
    """Answer each line of a file; returns 1 if an answer failed.

    Raises CallError if a whole batch fails, and RetrieverError for an unreadable file.
    """
    failed = False
    # Bars are for people. They belong neither among the answers nor in a log.
    console = Console(stderr=True, quiet=not sys.stderr.isatty())
    # On a terminal, rich prints answers above the bars. Elsewhere it leaves standard output alone.
    bars = Progress(console=console, redirect_stdout=sys.stdout.isatty())
    with _opened(options.file) as file, bars as progress:
        task = progress.add_task("Requests", total=None)
        for lines in _batches(_requests(_lines(file, options.file), options.command)):
            for number, result in zip((n for n, _ in lines), _ask(client, lines, options), strict=True):
                failed |= isinstance(result, Exception)
                print_json({"line": number, **_content(result)}, indent=None)
            progress.advance(task, len(lines))
    return int(failed)


def _ask(
    client: RetrieverClient, lines: list[_Line], options: argparse.Namespace
) -> list[Answer | Exception]:
    """Yield a result for each line; a line that is no request yields its error."""
    requests = [request for _, request in lines if not isinstance(request, Exception)]
    ask = getattr(client, options.command.replace("-", "_"))
    answers: Iterator[Answer | CallError] = iter(ask(requests) if requests else ())
    return [request if isinstance(request, Exception) else next(answers) for _, request in lines]


def _requests(lines: Iterable[bytes], command: str) -> Iterator[_Line]:
    """Yield the number of each line that isn't blank, and its request or its error."""
    kind = pb.RecommendRequest if command == "batch-recommend" else pb.SimilarItemsRequest
    for number, line in enumerate(lines, start=1):
        if line.strip():
            request = kind()
            try:
                json_requests.read(line.decode(), request)
                if (size := request.ByteSize()) > MAX_REQUEST_BYTES - _ENTRY_BYTES:
                    raise JsonRequestError(
                        f"has {size} bytes as a message, but may have at most {MAX_REQUEST_BYTES}"
                    )
                yield number, request
            except UnicodeDecodeError as error:
                yield number, JsonRequestError(f"isn't JSON: {words.reason(error)}")
            except JsonRequestError as error:
                yield number, error


def _lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    try:
        yield from file
    except OSError as error:
        raise _unreadable(name, error) from error


def _batches(lines: Iterable[_Line]) -> Iterator[list[_Line]]:
    """Yield lists of lines that one call may ask for together."""
    batch: list[_Line] = []
    results = size = 0
    for line in lines:
        more_results, more_bytes = _weight(line[1])
        full = results + more_results > MAX_RESULTS or size + more_bytes > MAX_REQUEST_BYTES
        if batch and (full or len(batch) == BATCH):
            yield batch
            batch, results, size = [], 0, 0
        batch.append(line)
        results += more_results
        size += more_bytes
    if batch:
        yield batch


def _weight(request: Any) -> tuple[int, int]:
    """Return the number of results that a request may have, and its bytes in a batch."""
    if isinstance(request, Exception):
        return 0, 0
    limit = request.limit if request.HasField("limit") else DEFAULT_LIMIT
    return min(max(limit, 0), MAX_RESULTS), request.ByteSize() + _ENTRY_BYTES


def _content(result: Answer | Exception) -> dict[str, Any]:
    if isinstance(result, Answer):
        return asdict(result)
    if isinstance(result, CallError):
        code, details = result.code.name, result.details
        return {
            "error": {"code": code, "details": details, "reason": result.reason, "field": result.field}
        }
    field = result.field if isinstance(result, JsonRequestError) else ""
    return {"error": {"code": "INVALID_ARGUMENT", "details": str(result), "reason": "", "field": field}}


def _opened(name: str) -> BinaryIO:
    if name == "-":
        if sys.stdin is None:
            raise RetrieverError("standard input is closed: give a file")
        return sys.stdin.buffer
    try:
        return open_given(Path(name))
    except OSError as error:
        raise _unreadable(name, error) from error


def _unreadable(name: str, error: OSError) -> RetrieverError:
    return RetrieverError(f"{'standard input' if name == '-' else name}: {error.strerror or error}")
