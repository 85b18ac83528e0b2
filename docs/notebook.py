"""Clear the notebooks of docs/tutorials, or run them: python docs/notebook.py clear, or run FOLDER.

The notebooks are committed without outputs: `clear` removes outputs that an editor has left. `run`
writes executed copies and their pictures into a folder, and leaves the notebooks as they are.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from traitlets import default
from traitlets.config import Config

FOLDER = Path(__file__).parent / "tutorials"
# The longest time of a cell.
SECONDS = 300


def main() -> None:
    """Run the command that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("clear", help="remove outputs and execution counts")
    run = commands.add_parser("run", help="write executed copies")
    run.add_argument("folder", type=Path, help="where to write them")
    options = parser.parse_args()
    for path in sorted(FOLDER.glob("*.ipynb")):
        if options.command == "clear":
            path.write_text(cleared(path.read_text("utf-8")), "utf-8")
        else:
            options.folder.mkdir(parents=True, exist_ok=True)
            executed = execute(read(path), working_directory=FOLDER)
            (options.folder / path.name).write_text(as_text(executed), "utf-8")


def read(path: Path) -> nbformat.NotebookNode:
    """Read a notebook."""
    return nbformat.reads(path.read_text("utf-8"), as_version=4)


def cleared(text: str) -> str:
    """Remove outputs, execution counts, and metadata that editors add."""
    notebook = nbformat.reads(text, as_version=4)
    for cell in notebook.cells:
        cell.metadata = nbformat.NotebookNode()
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": {"name": "python"}})
    return as_text(notebook)


def as_text(notebook: nbformat.NotebookNode) -> str:
    """Convert a notebook to the text of its file."""
    return f"{nbformat.writes(notebook).rstrip()}\n"


def execute(
    notebook: nbformat.NotebookNode, *, working_directory: Path, **environment: str
) -> nbformat.NotebookNode:
    """Run a notebook, in place, with this Python; `environment` has variables in addition to our own.

    Raises:
        CellExecutionError: a cell failed.
        CellTimeoutError: a cell took too long.
    """
    with tempfile.TemporaryDirectory() as folder:
        config = Config(
            {"KernelManager": {"connection_file": f"{folder}/kernel.json", "transport": "ipc"}}
        )
        client = NotebookClient(
            notebook, config=config, kernel_manager_class=_OwnKernel, timeout=SECONDS
        )
        variables = {**os.environ, "IPYTHONDIR": folder, **environment}
        # The kernel must draw into the notebook, even if this process draws elsewhere.
        variables.pop("MPLBACKEND", None)
        client.execute(env=variables, cwd=str(working_directory))
    return notebook


def outputs(notebook: nbformat.NotebookNode) -> Iterator[Any]:
    """Yield all outputs of the cells, in order."""
    for cell in notebook.cells:
        yield from cell.get("outputs", [])


class _OwnKernel(AsyncKernelManager):
    """Starts a kernel with this Python, and not one that was registered elsewhere."""

    @default("kernel_spec_manager")
    def _no_registered_kernels(self) -> KernelSpecManager:
        return KernelSpecManager(kernel_dirs=[])


if __name__ == "__main__":
    main()
