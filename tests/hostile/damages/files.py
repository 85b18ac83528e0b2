"""Files of another encoding, format or form, or of which a part is missing or wrong."""

import gzip
import io
import zipfile
from collections.abc import Callable
from functools import partial

from tests.hostile.damage import kind, rewrites
from tests.hostile.draft import GOODS, LOG, Draft
from tests.hostile.writing import TEXTS

_ROW = r"\brow #?\d+|\bline \d+"
_text = partial(rewrites, sources=TEXTS)
_plain = partial(rewrites, sources=("csv", "tsv"))


def _encoded(content: bytes, encoding: str) -> bytes:
    return content.decode().encode(encoding, "replace")


def _changed_line(content: bytes, at: float, change: Callable[[bytes], bytes]) -> bytes:
    """Of the rows after the header, the one at that share of them."""
    lines = content.splitlines(keepends=True)
    row = 1 + int(at * (len(lines) - 2))
    lines[row] = change(lines[row])
    return b"".join(lines)


def _packed(content: bytes, form: str) -> bytes:
    if form == "gzip":
        return gzip.compress(content, 1)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("log.csv", content)
    return sink.getvalue()


def _broken(content: bytes, form: str) -> bytes:
    delimiter = b"\t" if b"\t" in content.partition(b"\n")[0] else b","
    forms: dict[str, Callable[[bytes], bytes]] = {
        "a field less": lambda line: line.rpartition(delimiter)[0] + b"\n",
        "a field more": lambda line: line.rstrip(b"\n") + delimiter + b"1\n",
        "a line break": lambda line: line[: len(line) // 2] + b"\n" + line[len(line) // 2 :],
    }
    return _changed_line(content, 0.9, forms[form])


def _delimited(content: bytes, delimiter: str) -> bytes:
    own = b"\t" if b"\t" in content.partition(b"\n")[0] else b","
    return content.replace(own, delimiter.encode())


def _with_nul(content: bytes, where: str) -> bytes:
    at = {"start": 40, "middle": len(content) // 2, "end": len(content)}[where]
    return content[:at] + bytes(64) + content[at:]


def _with_blank_lines(content: bytes, where: str) -> bytes:
    if where == "end":
        return content + b"\n\n"
    middle = content.index(b"\n", len(content) // 2) + 1
    return content[:middle] + b"\n" + content[middle:]


_text("Latin-1", partial(_encoded, encoding="latin-1"), r"Latin-1|UTF-?8|utf8|encod", styles=("text",))
_text(
    "Latin-1 for items",
    _encoded,
    r"Latin-1|UTF-?(8|16)|utf8|encod|cp1252|\?",
    table=GOODS,
    recipes=("features",),
    encoding=("utf-16", "cp1252"),
)
_text(
    "one byte that isn't UTF-8",
    lambda content: _changed_line(content, 0.9, lambda line: b"\xff" + line[1:]),
    rf"({_ROW}).*(UTF-?8|utf8|Latin)|(UTF-?8|utf8|Latin).*({_ROW})",
    styles=("text",),
)
# What a spreadsheet calls Unicode text.
_plain(
    "UTF-16",
    lambda content, form: _encoded(content, form),
    r"UTF-?16|UTF-?32|encod",
    form=("utf-16", "utf-16-be", "utf-16-le", "utf-32"),
)
# As spreadsheets write UTF-8.
_text("a byte order mark", lambda content: b"\xef\xbb\xbf" + content, r"byte order", accepted=True)
_text("lines ended by CR LF", lambda content: content.replace(b"\n", b"\r\n"), r"CR", accepted=True)
_plain("compressed in disguise", _packed, r"\bgzip|\bzip|compress|binary data", form=("gzip", "zip"))


@kind("not compressed", sources=("csv",))
def not_compressed(draft: Draft) -> str:
    draft.suffix = ".csv.gz"
    return r"gzip|\.gz\b.*(not|isn't)|compress|zlib"


@kind("a cut file", sources=("csv", "gz", "parquet", "folder", "tsv"), at=(0.5, 0.99, 0.01))
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


_text("a broken line", _broken, _ROW, form=("a field less", "a field more", "a line break"))
_plain("another delimiter", _delimited, r"delimiter|separat|semicolon", delimiter=(";", "|", "\t", " "))
_text(
    "quotes without an end",
    lambda content, at: _changed_line(content, at, lambda line: b'"' + line),
    rf"quot|{_ROW}",
    at=(0.9, 0.5, 0.0),
)
# Of a disk that lost power.
_text(
    "NUL bytes", _with_nul, rf"NUL|\\0|\\x00|zero byte|binary|{_ROW}", where=("middle", "end", "start")
)
# Two files that were joined.
_text(
    "a header in the middle",
    lambda content: content + content[: content.index(b"\n") + 1],
    rf"{_ROW}|header",
)
# The first row is taken for one.
_text(
    "no header",
    lambda content: content[content.index(b"\n") + 1 :],
    r"user_id.*(missing|header)|header",
)
_text("blank lines", _with_blank_lines, r"blank", accepted=True, where=("end", "middle"))

_OTHERS = {
    "page": b"<!DOCTYPE html>\n<html><body>404, not found</body></html>\n" * 9,
    "lines of JSON": b'{"user_id": "1", "item_id": "2"}\n' * 99,
    "nothing": b"",
    "header": b"user_id,item_id,weight\n",
}
# A page that says that the download failed, for instance.
rewrites(
    "something else",
    lambda _, what: _OTHERS[what],
    # Lines of JSON are data, of one user and one item here.
    r"missing|empty|no row|isn't a Parquet|no Parquet|delimiter|JSON|HTML|are kept by id",
    sources=("csv", "parquet", "tsv", "folder"),
    what=(*_OTHERS,),
)

_NAMES: dict[str, Callable[[str], str]] = {
    "camel": lambda name: name.replace("_id", "Id"),
    "upper": str.upper,
    "spaced": " {}".format,
}


@kind("other names of columns", names=(*_NAMES,))
def other_names(draft: Draft, *, names: str) -> str:
    draft.tables[LOG] = {
        _NAMES[names](name) if name.endswith("_id") else name: own for name, own in draft.log.items()
    }
    return r"user_id.*missing|column"


@kind("columns in another order", accepted=True)
def other_order(draft: Draft) -> str:
    """And one that nobody knows."""
    draft.tables[LOG] = {**dict(reversed(draft.log.items())), "session": draft.log["user_id"][::-1]}
    return r"column"
