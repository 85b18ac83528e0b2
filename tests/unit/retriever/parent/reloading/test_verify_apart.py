"""Verifying in a process of its own: the same verdicts, and a verdict on what kills that process."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lightfm_retriever.hosting.process import STOPPING, Awaited
from lightfm_retriever.publication import layout, verification
from lightfm_retriever.publication.errors import InvalidPublicationError, PublicationError, VolumeError
from retriever import version_files
from retriever.errors import UnverifiedError
from retriever.parent.reloading.verify_apart import verify_apart
from tests import publications

ROOT = Path(__file__).parents[5]
PYTHON = sys.executable


@pytest.fixture
def interpreter(tmp_path, monkeypatch):
    """Makes an interpreter that runs a script, whatever it is asked to run."""

    def make(script):
        path = tmp_path / "python"
        path.write_text(script)
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return make


def verifying(code):
    """A script whose `verification.verify` is what is given; it ignores `-m MODULE`."""
    return f"""#!{PYTHON}
import os, signal, sys
sys.path.insert(0, {str(ROOT)!r})
from lightfm_retriever.publication import reader, verification
from retriever.parent.reloading import verify_apart
def verify(volume, version):
    {code}
verification.verify = verify
verify_apart.main(sys.argv[3:])
"""


@pytest.mark.parametrize("name", [layout.MANIFEST, layout.SEEN_ITEMS])
def test_a_sound_version_passes_and_what_is_wrong_is_said_in_the_same_words(published, name):
    names = version_files.names_of(published.directory)
    files = version_files.look(published.directory, names)
    assert verify_apart(published.volume, published.version) == files
    assert len(files) > 5
    publications.overwrite(published.directory / name, b"{}")
    with pytest.raises(PublicationError) as expected:
        verification.verify(published.volume, published.version)
    with pytest.raises(PublicationError) as caught:
        verify_apart(published.volume, published.version)
    assert str(caught.value) == str(expected.value)
    assert not isinstance(caught.value, VolumeError)


def test_it_tells_what_is_gone_cannot_be_read_or_kills_its_reader(published, interpreter):
    with pytest.raises(UnverifiedError, match="20200101T000000Z-000000' isn't on the volume") as caught:
        verify_apart(published.volume, "20200101T000000Z-000000")
    # A volume that was away for a moment looks so, too.
    assert caught.value.costly
    volume = published.volume / ("x" * 300)
    with pytest.raises(VolumeError, match="File name too long") as caught:
        verify_apart(volume, published.version)
    assert caught.value.path == layout.version_dir(volume, published.version)
    # One that kills its reader is refused.
    publications.make_deadly_id_map(published.directory)
    with pytest.raises(InvalidPublicationError, match=r"crashes the process.*SIG") as caught:
        verify_apart(published.volume, published.version)
    assert caught.value.path == published.directory
    # So is what nobody foresaw.
    interpreter(verifying("raise KeyError('x')"))
    with pytest.raises(PublicationError, match=r"^an unexpected error: 'x'$"):
        verify_apart(published.volume, published.version)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        # Killed from outside: by a lack of memory, or a volume that breaks off under its maps.
        ("os.kill(os.getpid(), 9)", r"was killed \(SIGKILL: not enough memory, or killed from"),
        ("os.kill(os.getpid(), signal.SIGBUS)", r"was killed \(SIGBUS: a mapped file"),
        ("os.kill(os.getpid(), 40)", r"was killed \(signal 40: killed from outside\)"),
        ("sys.exit(3)", "the process ended with status 3: see the log"),
        ("raise MemoryError", "not enough memory"),
        # A library that lacks memory while it is loaded crashes, for instance.
        (None, "the process was ended by SIGSEGV before it read a file"),
    ],
)
def test_what_a_process_lacks_says_nothing_of_the_version(published, interpreter, code, reason):
    if code is None:
        interpreter(f"#!{PYTHON}\nimport os\nos.kill(os.getpid(), {signal.SIGSEGV})\n")
    else:
        interpreter(verifying(code))
    begin = f"^{published.version} couldn't be verified: (the process )?"
    with pytest.raises(UnverifiedError, match=f"{begin}{reason}") as caught:
        verify_apart(published.volume, published.version)
    assert not caught.value.costly


def test_files_that_change_while_they_are_read_are_read_again(published, interpreter):
    path = str(published.directory / layout.SEEN_ITEMS)
    interpreter(verifying(f"os.utime({path!r})"))
    with pytest.raises(VolumeError, match="files changed during the verification, 3 times in a row"):
        verify_apart(published.volume, published.version)
    once = f"os.path.exists({path + '-'!r}) or (os.utime({path!r}), open({path + '-'!r}, 'w'))"
    interpreter(verifying(once))
    files = verify_apart(published.volume, published.version)
    assert files[layout.SEEN_ITEMS] == version_files.state_of(Path(path))


def test_libraries_are_loaded_before_it_says_that_it_reads(
    published, interpreter, monkeypatch, tmp_path
):
    """Else a crash while one is loaded would be the version's."""
    told = tmp_path / "told"
    interpreter(f"""#!{PYTHON}
import os, sys
sys.path.insert(0, {str(ROOT)!r})
from retriever.parent.reloading import verify_apart
before = {{*sys.modules}}
verify_apart.main(sys.argv[3:])
native = [name for name in {{*sys.modules}} - before
          if str(getattr(sys.modules[name], "__file__", "")).endswith(".so")]
open({str(told)!r}, "w").write(",".join(native) + ";" + os.environ["OPENBLAS_NUM_THREADS"])
""")
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    verify_apart(published.volume, published.version)
    assert told.read_text() == ";1"


@pytest.mark.parametrize("files", [3, 10, 18])
def test_with_few_descriptors_a_version_is_never_refused(published, files, interpreter):
    interpreter(f'#!/bin/sh\nulimit -n {files}\nexec {PYTHON} "$@"\n')
    with contextlib.suppress(UnverifiedError, VolumeError):
        verify_apart(published.volume, published.version)


def test_a_process_that_cannot_be_started_says_nothing_of_the_version(published, monkeypatch):
    def no_memory(*_, **__):
        # So what is sent to the whole group, as by Ctrl-C, ends none from its first moment on.
        assert {*STOPPING} <= signal.pthread_sigmask(signal.SIG_BLOCK, [])
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr(subprocess, "Popen", no_memory)
    with pytest.raises(UnverifiedError, match=r"the process can't be started: .*Cannot allocate"):
        verify_apart(published.volume, published.version)
    assert not {*STOPPING} & signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_it_takes_no_longer_than_it_may_and_is_wanted(published, interpreter, monkeypatch):
    started, begin = [], subprocess.Popen
    note = lambda *a, **b: started.append(begin(*a, **b)) or started[-1]  # noqa: E731
    monkeypatch.setattr(subprocess, "Popen", note)
    interpreter(verifying("signal.pause()"))
    with pytest.raises(UnverifiedError, match=r"couldn't be verified in 0\.001 s"):
        verify_apart(published.volume, published.version, seconds=0.001)
    wanted = Awaited()
    wanted.end()
    with pytest.raises(UnverifiedError):
        verify_apart(published.volume, published.version, wanted)
    # It is gone by then, not only told to go.
    assert [process.returncode for process in started] == [-signal.SIGKILL] * 2


def test_it_does_not_outlive_who_asked_for_it(published, interpreter):
    interpreter(verifying("print(os.getpid(), file=sys.stderr, flush=True) or signal.pause()"))
    code = f"""import pathlib, sys, retriever.parent.reloading.verify_apart as it
sys.executable = {sys.executable!r}
it.verify_apart(pathlib.Path({str(published.volume)!r}), {published.version!r})"""
    parent = subprocess.Popen([PYTHON, "-c", code], cwd=ROOT, stderr=subprocess.PIPE)
    with parent:
        process = int(parent.stderr.readline())
        parent.kill()
        try:
            # Until nobody is left who could write there.
            parent.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            os.kill(process, signal.SIGKILL)
            raise
