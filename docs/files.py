"""Write the table of files in lightfm_retriever/publication/README.md: python docs/files.py

The table is made from the one that the code uses, so it can't differ from the code.
"""

from __future__ import annotations

from pathlib import Path

from lightfm_retriever.publication.layout import FILES, FileSpec

PAGE = Path(__file__).parents[1] / "lightfm_retriever/publication/README.md"
_BEGIN, _END = "<!-- files of a version -->\n", "<!-- end of files -->\n"


def with_table(page: str) -> str:
    """Return a page with a fresh table between its marks."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    lines = ["| File | Shape | Holds | Comes with | Format |", "| --- | --- | --- | --- | --- |"]
    return "\n".join([before + _BEGIN, *lines, *map(_line, FILES.values()), f"\n{_END}{after}"])


def _line(spec: FileSpec) -> str:
    shape = f"{spec.dtype} ({spec.shape})" if spec.dtype else spec.shape
    group = spec.group or spec.kind or "every version"
    return f"| `{spec.name}` | {shape} | {spec.what} | {group} | {spec.since} |"


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text("utf-8")), "utf-8")
