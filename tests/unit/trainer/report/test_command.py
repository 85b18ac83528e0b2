"""What `lightfm-trainer report` refuses; what it makes is in the integration tests."""

import re
import sys

import pytest

import trainer
from lightfm_retriever.publication import layout
from tests import publications
from tests.unit.trainer.event_log.logs import damage
from tests.unit.trainer.publishing.test_publish import source
from tests.unit.trainer.report import catalogue
from trainer.__main__ import main


@pytest.fixture
def fails(capsys, tmp_path):
    """Run the command; returns its message. It wrote nothing."""

    def fails(*arguments, output=tmp_path / "report", status=1):
        flags = ["--volume", tmp_path / "volume", "--output", output]
        assert main(["report", *map(str, [*arguments, *flags])]) == status
        hint = "See 'lightfm-trainer report --help'.\n" if status == 2 else ""
        [said] = re.fullmatch(f"error: (.*)\n{hint}", "".join(capsys.readouterr())).groups()
        assert not (tmp_path / "report").exists()
        return said

    return fails


@pytest.fixture
def version(subject, tmp_path):
    publications.copy(subject.directory.parents[1], tmp_path / "volume")
    return subject.manifest.version


def test_a_version_and_options_that_do_not_fit_are_named(fails, tmp_path, version):
    for size in (99, 10**7 + 1):
        message = f"--max-items is {size}, but should be in 100..10000000"
        assert message in fails(version, "--max-items", size, status=2)
    absent = "20261124T120000Z-3fa9c1"
    assert f"version {absent!r} isn't on the volume" in fails(absent)
    path = layout.version_dir(tmp_path / "volume", version) / layout.ITEM_VECTORS
    path.chmod(0o600)
    damage(path, -1)
    assert f"{path}: SHA-256" in fails()
    layout.label_file(tmp_path / "volume", "current").unlink()
    assert "label 'current': nothing is published under it" in fails()


def test_a_publication_without_users_has_nobody_to_ask_for(fails, tmp_path):
    version = catalogue.publish_to(tmp_path / "volume", source(users=0))
    message = "but should be a version with users: a report measures their recommendations"
    assert fails(status=2) == f"VERSION is '{version}', {message}"


def test_a_library_that_is_not_installed_is_named_with_what_to_install(fails, monkeypatch, version):
    for name in [*sys.modules]:
        if name.startswith("trainer.report"):
            monkeypatch.delitem(sys.modules, name)
        elif name.partition(".")[0] == "matplotlib":
            # None makes an import fail as if there were no such module.
            monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delattr(trainer, "report", raising=False)
    needs = "report needs 'matplotlib', which isn't installed: pip install 'lightfm-retriever[report]'"
    assert fails(version, "--backend", "exact") == needs


def test_a_folder_that_cannot_be_written_is_known_at_once(fails, monkeypatch, tmp_path, version):
    unasked = lambda *_: pytest.fail("half an hour for nothing")  # noqa: E731
    monkeypatch.setattr("trainer.report.measure_accuracy", unasked)
    file = tmp_path / "file"
    file.touch()
    for output in (file, file / "report"):
        assert re.search(f"{output}.*; {file}: Not a dir", fails(version, output=output, status=2))
    # Root passes every check of permissions.
    assert "; /proc: " in fails(version, output="/proc/x", status=2)
