"""Show the notebooks of docs/tutorials as pages.

The notebooks are committed without outputs. `make docs` runs each with docs/notebook.py, which keeps
the results in .notebooks. Without a result, a page shows only the code.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from links import DOCS, ROOT
from nbconvert import MarkdownExporter

RUN = ROOT / ".notebooks"


def page(notebook: Path) -> tuple[str, dict[str, bytes]]:
    """Convert a notebook to Markdown, and return its pictures by their names."""
    result = RUN / notebook.relative_to(ROOT / DOCS)
    read = nbformat.read(result if result.exists() else notebook, as_version=4)
    name = f"{notebook.stem}_{{cell_index}}_{{index}}{{extension}}"
    exporter = MarkdownExporter(ExtractOutputPreprocessor={"output_filename_template": name})
    text, resources = exporter.from_notebook_node(read)
    return text, resources["outputs"]
