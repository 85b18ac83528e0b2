"""Whatever stands where a file should, nobody waits for it."""

import ast
import errno
import fcntl
import os
import socket
from functools import partial
from pathlib import Path

import pytest

from lightfm_retriever.files import regular_files
from lightfm_retriever.files.durable import fsync_file
from lightfm_retriever.files.regular_files import IrregularFileError, lock_regular, open_regular

# Whoever waits for a FIFO does so for ever.
pytestmark = pytest.mark.timeout(30)

ROOT = Path(__file__).parents[4]
PACKAGES = ("lightfm_retriever", "lightfm_workbench", "retriever", "trainer")


def make_fifo(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


@pytest.fixture
def file(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"checked")
    return file


NAMES = ("open_regular", "create_regular", "open_given", "read_regular", "check_regular")
OPENERS = [*(getattr(regular_files, name) for name in NAMES), fsync_file]
APPEND = partial(regular_files.open_descriptor, flags=os.O_CREAT | os.O_WRONLY | os.O_APPEND)


@pytest.mark.parametrize("call", [*OPENERS, APPEND])
def test_each_way_of_opening_refuses_what_is_no_file_and_names_it(tmp_path, call):
    fifo, link, loop, unix = (tmp_path / name for name in ("fifo", "link", "loop", "socket"))
    make_fifo(fifo)
    link.symlink_to(fifo)
    loop.symlink_to(loop)
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(unix))
    kinds = {fifo: "a FIFO", link: "a FIFO", unix: "a socket", Path("/dev/zero"): "a device"}
    open_before = len(os.listdir("/proc/self/fd"))
    for path, kind in kinds.items():
        with pytest.raises(IrregularFileError, match=f"is {kind}, but should be a regular") as caught:
            call(path)
        assert caught.value.filename == str(path)
    for path, number in ((tmp_path, errno.EISDIR), (loop, errno.ELOOP)):
        with pytest.raises(OSError, match=str(path)) as caught:
            call(path)
        assert caught.value.errno == number
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_what_is_replaced_between_the_look_and_the_opening_is_refused_too(file, monkeypatch):
    really_open = os.open
    monkeypatch.setattr(os, "open", lambda _, *rest: really_open(make_fifo(file), *rest))
    with pytest.raises(IrregularFileError):
        open_regular(file)


def test_a_library_meets_the_file_that_was_checked_and_errors_its_own_name(file):
    with open_regular(file) as opened:
        assert opened.name == str(file)
    with regular_files.held_open(file) as name:
        make_fifo(file)
        assert Path(name).read_bytes() == b"checked"


def test_a_lock_that_somebody_has_or_removes_meanwhile_is_not_taken(file, monkeypatch):
    held = lock_regular(file)
    assert lock_regular(file) is None
    os.close(held)

    def remove_first(descriptor, how, take=fcntl.flock):
        file.unlink()
        file.write_bytes(b"another's")
        take(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    assert lock_regular(file) is None


# Called with a name that another party may own: what opens by name, as far as the source shows it.
_OPENERS = {
    "open", "read_text", "read_bytes", "write_text", "write_bytes", "memmap", "open_memmap",
    "fromfile", "loadtxt", "input_stream", "ParquetFile", "read_metadata", "read_schema", "read_index",
    "loadIndex", "mmap",
}  # fmt: skip
_LOADERS = {("np", "load"), ("index", "load")}
# And what is mapped by a descriptor, not by a name.
_OF_OUR_OWN = {"IdMap", "Attributes", "WriteAheadFile", "archive", "mmap"}
# By file, how often, and why nobody can wait there.
_ALLOWED = {
    "lightfm_retriever/files/regular_files.py": (2, "the openers themselves"),
    "lightfm_retriever/files/durable.py": (1, "a directory, by O_DIRECTORY"),
    "lightfm_retriever/hosting/terminal.py": (1, "/dev/null"),
    "trainer/exclusive.py": (1, "a directory, by O_DIRECTORY"),
    "retriever/asking/channel.py": (1, "a part of the package"),
    "lightfm_retriever/hosting/process.py": (1, "the kernel's own file in /proc"),
    "trainer/report/deployment.py": (2, "its own temporary folder"),
    "trainer/report/page.py": (1, "a picture that was just drawn"),
    "trainer/report/__init__.py": (1, "the metadata of an installed package"),
    "trainer/tracking/mlflow_process.py": (1, "its own temporary folder"),
    "trainer/runs/child.py": (1, "the kernel's own file in /proc"),
    "trainer/data/movielens.py": (1, "a wheel in its own temporary folder"),
    "trainer/spark/exchange.py": (2, "runs on Spark's nodes without this project; parts of its own"),
    "trainer/spark/vectors.py": (2, "an array in its own scratch folder"),
    "trainer/index/annoy.py": (1, "an index that was just saved in its own staging folder"),
    "trainer/index/faiss.py": (2, "an index that was just saved in its own staging folder"),
    "trainer/index/nmslib.py": (1, "an index that was just saved in its own staging folder"),
}


def _bare_opens(path):
    """Lines that open by a name, but for the name of `held_open` or a file that must be new ("xb")."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        name = getattr(function, "id", getattr(function, "attr", ""))
        of = getattr(getattr(function, "value", None), "id", "")
        if of in _OF_OUR_OWN or (name not in _OPENERS and (of, name) not in _LOADERS):
            continue
        given = {getattr(one, "value", getattr(one, "id", None)) for one in node.args}
        if not given & {"x", "xb", "opened", "name", "file"}:
            yield f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}"


def test_no_other_code_opens_a_file_by_its_name():
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            found = [*_bare_opens(path)]
            allowed, why = _ALLOWED.get(str(path.relative_to(ROOT)), (0, ""))
            assert len(found) == allowed, (
                "open it by lightfm_retriever.files.regular_files, or allow it here and say why: "
                f"{found}, allowed are {allowed} ({why})"
            )
