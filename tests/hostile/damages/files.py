"""Files of another encoding, format or form, or of which a part is missing or wrong."""

from __future__ import annotations

import gzip
import io
import zipfile

from tests.hostile.damage import ANY_STYLE, kind
from tests.hostile.draft import GOODS, LOG, Draft

_PLAIN = ("csv", "tsv")
_ROW = r"\brow #?\d+|\bline \d+"


def _lines(content: bytes) -> list[bytes]:
    return content.splitlines(keepends=True)


@kind("Latin-1", sources=("csv", "tsv", "gz"), styles=("text",))
def latin_1(draft: Draft) -> str:
    draft.as_bytes(lambda content: content.decode().encode("latin-1"))
    return r"Latin-1|UTF-?8|utf8|encod"


@kind(
    "Latin-1 for items",
    sources=("csv", "tsv", "gz"),
    recipes=("features",),
    encoding=("utf-16", "cp1252"),
)
def other_encoding(draft: Draft, *, encoding: str) -> str:
    draft.as_bytes(lambda content: content.decode().encode(encoding, "replace"), table=GOODS)
    return r"Latin-1|UTF-?(8|16)|utf8|encod|cp1252|\?"


@kind("one byte that isn't UTF-8", sources=("csv", "tsv", "gz"), styles=("text",))
def bad_byte(draft: Draft) -> str:
    def change(content: bytes) -> bytes:
        lines = _lines(content)
        row = len(lines) * 9 // 10
        lines[row] = b"\xff" + lines[row][1:]
        return b"".join(lines)

    draft.as_bytes(change)
    return rf"({_ROW}).*(UTF-?8|utf8|Latin)|(UTF-?8|utf8|Latin).*({_ROW})"


@kind("UTF-16", sources=_PLAIN, styles=ANY_STYLE, form=("utf-16", "utf-16-be", "utf-16-le", "utf-32"))
def utf_16(draft: Draft, *, form: str) -> str:
    draft.as_bytes(lambda content: content.decode().encode(form))
    return r"UTF-?16|UTF-?32|encod"


@kind("a byte order mark", sources=("csv", "tsv", "gz"), styles=ANY_STYLE, accepted=True)
def bom(draft: Draft) -> str:
    draft.as_bytes(lambda content: b"\xef\xbb\xbf" + content)
    return r"byte order"


@kind("lines ended by CR LF", sources=("csv", "tsv", "gz"), styles=ANY_STYLE, accepted=True)
def crlf(draft: Draft) -> str:
    draft.as_bytes(lambda content: content.replace(b"\n", b"\r\n"))
    return r"CR"


@kind("compressed in disguise", sources=_PLAIN, styles=ANY_STYLE, form=("gzip", "zip"))
def compressed(draft: Draft, *, form: str) -> str:
    def packed(content: bytes) -> bytes:
        if form == "gzip":
            return gzip.compress(content, 1)
        sink = io.BytesIO()
        with zipfile.ZipFile(sink, "w") as archive:
            archive.writestr("log.csv", content)
        return sink.getvalue()

    draft.as_bytes(packed)
    return rf"\b{form}|compress|binary data"


@kind("not compressed", sources=("csv",), styles=ANY_STYLE)
def not_compressed(draft: Draft) -> str:
    draft.suffix = ".csv.gz"
    return r"gzip|\.gz\b.*(not|isn't)|compress|zlib"


@kind(
    "a cut file",
    sources=("csv", "gz", "parquet", "folder", "tsv"),
    styles=ANY_STYLE,
    at=(0.5, 0.99, 0.01),
)
def cut(draft: Draft, *, at: float) -> str:
    if draft.source == "gz":
        # What is cut is what lies on the disk.
        draft.source, draft.suffix = "csv", ".csv.gz"
        draft.as_bytes(lambda content: gzip.compress(content, 1))
    draft.as_bytes(lambda content: content[: int(at * len(content))])
    return (
        rf"{_ROW}|of 300 users|of 120 items|interactions, version|truncat|cut|end of|Parquet"
        r"|incomplete|gzip|no row after"
    )


@kind(
    "a broken line",
    sources=("csv", "tsv", "gz"),
    styles=ANY_STYLE,
    form=("a field less", "a field more", "a line break"),
)
def broken_line(draft: Draft, *, form: str) -> str:
    def change(content: bytes) -> bytes:
        lines = _lines(content)
        row = len(lines) * 9 // 10
        line = lines[row].rstrip(b"\n")
        delimiter = b"\t" if b"\t" in lines[0] else b","
        lines[row] = {
            "a field less": line.rpartition(delimiter)[0] + b"\n",
            "a field more": line + delimiter + b"1\n",
            "a line break": line[: len(line) // 2] + b"\n" + line[len(line) // 2 :] + b"\n",
        }[form]
        return b"".join(lines)

    draft.as_bytes(change)
    return _ROW


@kind("another delimiter", sources=_PLAIN, styles=ANY_STYLE, delimiter=(";", "|", "\t", " "))
def delimiter(draft: Draft, *, delimiter: str) -> str:
    own = b"," if draft.source == "csv" else b"\t"
    draft.as_bytes(lambda content: content.replace(own, delimiter.encode()))
    return r"delimiter|separat|semicolon"


@kind("quotes without an end", sources=("csv", "tsv", "gz"), styles=ANY_STYLE, at=(0.9, 0.5, 0.0))
def unbalanced(draft: Draft, *, at: float) -> str:
    def change(content: bytes) -> bytes:
        lines = _lines(content)
        row = 1 + int(at * (len(lines) - 2))
        lines[row] = b'"' + lines[row]
        return b"".join(lines)

    draft.as_bytes(change)
    return rf"quot|{_ROW}"


@kind("NUL bytes", sources=("csv", "tsv", "gz"), styles=ANY_STYLE, where=("middle", "end", "start"))
def nul(draft: Draft, *, where: str) -> str:
    def change(content: bytes) -> bytes:
        at = {"start": 40, "middle": len(content) // 2, "end": len(content)}[where]
        return content[:at] + bytes(64) + content[at:]

    draft.as_bytes(change)
    return rf"NUL|\\0|\\x00|zero byte|binary|{_ROW}"


@kind("a header in the middle", sources=("csv", "tsv", "gz"), styles=ANY_STYLE)
def header_again(draft: Draft) -> str:
    draft.as_bytes(lambda content: content + content[: content.index(b"\n") + 1])
    return rf"{_ROW}|header"


@kind("no header", sources=("csv", "tsv", "gz"), styles=ANY_STYLE)
def no_header(draft: Draft) -> str:
    draft.as_bytes(lambda content: content[content.index(b"\n") + 1 :])
    return r"user_id.*(missing|header)|header"


@kind(
    "blank lines",
    sources=("csv", "tsv", "gz"),
    styles=ANY_STYLE,
    accepted=True,
    where=("end", "middle"),
)
def blank_lines(draft: Draft, *, where: str) -> str:
    def change(content: bytes) -> bytes:
        if where == "end":
            return content + b"\n\n"
        middle = content.index(b"\n", len(content) // 2) + 1
        return content[:middle] + b"\n" + content[middle:]

    draft.as_bytes(change)
    return r"blank"


@kind(
    "something else",
    sources=("csv", "parquet", "tsv", "folder"),
    styles=ANY_STYLE,
    what=("page", "lines of JSON", "nothing", "header"),
)
def something_else(draft: Draft, *, what: str) -> str:
    contents = {
        "page": b"<!DOCTYPE html>\n<html><body>404, not found</body></html>\n" * 9,
        "lines of JSON": b'{"user_id": "1", "item_id": "2"}\n' * 99,
        "nothing": b"",
        "header": b"user_id,item_id,weight\n",
    }
    draft.as_bytes(lambda _: contents[what])
    return r"missing|empty|no row|isn't a Parquet|no Parquet|delimiter|JSON|HTML"


@kind(
    "other names of columns",
    styles=ANY_STYLE,
    sources=("csv", "tsv", "gz", "parquet", "folder", "sql"),
    names=("camel", "upper", "spaced"),
)
def other_names(draft: Draft, *, names: str) -> str:
    forms = {
        "camel": {"user_id": "userId", "item_id": "itemId"},
        "upper": {"user_id": "USER_ID", "item_id": "ITEM_ID"},
        "spaced": {"user_id": " user_id", "item_id": " item_id"},
    }
    draft.tables[LOG] = {forms[names].get(name, name): own for name, own in draft.log.items()}
    return r"user_id.*missing|column"


@kind("columns in another order", styles=ANY_STYLE, accepted=True)
def other_order(draft: Draft) -> str:
    draft.tables[LOG] = {**dict(reversed(draft.log.items())), "session": draft.log["user_id"][::-1]}
    return r"column"
