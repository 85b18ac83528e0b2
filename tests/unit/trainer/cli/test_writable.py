import re
from pathlib import Path

import pytest

from trainer.cli import writable
from trainer.errors import OptionError


def refused(directory):
    with pytest.raises(OptionError) as caught:
        writable.check(Path(directory))
    return str(caught.value)


def test_a_folder_that_can_be_made_or_written_passes_and_stays_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for directory in (tmp_path, tmp_path / "new/deeper", "relative/folder"):
        writable.check(Path(directory))
    assert not [*tmp_path.iterdir()]


def test_a_folder_that_cannot_be_written_is_named_with_the_reason(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for directory in (file, file / "deeper"):
        expected = (
            f"--output is '{directory}', but should be a folder that can be written; {file}: Not a"
        )
        assert refused(directory).startswith(expected)
    # Root passes every check of permissions.
    for directory in ("/proc/x", "/proc"):
        assert re.search(f"'{directory}', .* written; /proc: ", refused(directory))
