"""Show the notebooks of docs/tutorials as pages.

They are committed without outputs. `make docs` runs each by docs/notebook.py, which keeps the result in
.notebooks; where there is none, a page shows the code alone.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from links import DOCS, ROOT
from nbconvert import MarkdownExporter

RUN = ROOT / ".notebooks"


def page(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """A notebook as Markdown, and the pictures in it by their names."""
    result = RUN / notebook.relative_to(ROOT / DOCS)
    read = nbformat.read(result if result.exists() else notebook, as_version=4)
    name = f"{notebook.stem}_{{cell_index}}_{{index}}{{extension}}"
    exporter = MarkdownExporter(ExtractOutputPreprocessor={"output_filename_template": name})
    text, resources = exporter.from_notebook_node(read)
    return text, resources["outputs"]
