import os
import subprocess
import sys

import pytest

from trainer.index.quiet import without_lines


def test_only_the_named_lines_are_left_out(capfd):
    def fail():
        os.write(2, b"Your CPU is fine\nthe log: Your CPU\npip install\n")
        raise KeyError

    with pytest.raises(KeyError), without_lines("Your CPU", "pip"):
        fail()
    os.write(2, b"Your CPU, later\n")
    assert capfd.readouterr().err == "the log: Your CPU\nYour CPU, later\n"


def run(program):
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)


def test_nmslib_is_imported_without_its_advice():
    pytest.importorskip("nmslib")
    ran = run("import trainer.index.nmslib as own; print(own.nmslib.__name__)")
    assert (ran.stdout, ran.stderr) == ("nmslib\n", "")


def test_a_closed_standard_error_stays_closed():
    closed = (
        "import os\nfrom trainer.index.quiet import without_lines\nos.close(2)\n"
        "with without_lines('a'):\n    pass\n"
        "try:\n    os.fstat(2)\nexcept OSError:\n    print('closed')\n"
    )
    assert run(closed).stdout == "closed\n"
