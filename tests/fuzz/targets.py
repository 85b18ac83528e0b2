"""All targets, and the findings that are known."""

import re
from dataclasses import dataclass

from tests.fuzz.runner import Target

_HERE = "tests.fuzz"
TARGETS = [
    Target("manifest", f"{_HERE}.files:manifests"),
    Target("labels", f"{_HERE}.files:label_files", share=0.5),
    Target("id-map", f"{_HERE}.files:id_maps"),
    Target("array", f"{_HERE}.files:arrays"),
    Target("page-token", f"{_HERE}.inputs:page_tokens", share=0.5),
    Target("database-url", f"{_HERE}.inputs:database_urls", share=0.5),
    Target("dataset", f"{_HERE}.inputs:datasets"),
    Target("event-log", f"{_HERE}.inputs:event_logs", share=0.5),
    Target("retriever", f"{_HERE}.retriever_calls:start", share=3, prepared=True),
    Target("trainer", f"{_HERE}.trainer_calls:start", share=2, prepared=True),
    Target("publication", f"{_HERE}.whole:start", share=4, prepared=True),
]


@dataclass(frozen=True)
class Known:
    """A finding that isn't mended, and why; docs/explanation/security.md says what it means."""

    target: str
    pattern: re.Pattern[str]
    why: str


_TRIE = "marisa-trie trusts its files; the retriever verifies versions in a process of its own"
_INDEX = "the library trusts its files; a version that kills workers as they open it isn't served"
_CRASH = "SIGSEGV|SIGBUS|SIGABRT|SIGFPE|SIGILL|hangs"

KNOWN = [
    Known("id-map", re.compile(rf"(open|look up|restore): ({_CRASH}|MemoryError) in .*"), _TRIE),
    Known("publication", re.compile(rf"\*\.trie, .*: ({_CRASH}|MemoryError) in .*"), _TRIE),
    Known("publication", re.compile(rf"\*\.(annoy|faiss|nmslib), .*: ({_CRASH}) in .*"), _INDEX),
    Known(
        "publication",
        re.compile(r"\*\.(annoy|faiss|nmslib), .*: (IndexError|RuntimeError|MemoryError) in .*"),
        "an index may propose rows that there aren't: INTERNAL for the call that meets them",
    ),
]


def known(target: str, finding: str) -> Known | None:
    return next((own for own in KNOWN if own.target == target and own.pattern.fullmatch(finding)), None)
