"""What `python -m trainer report` refuses; what it makes is in the integration tests."""

import sys

import pytest

import trainer
from lightfm_retriever.publication import layout
from tests import publications
from tests.unit.trainer.event_log.logs import damage
from tests.unit.trainer.index import cases
from tests.unit.trainer.report import catalogue
from trainer.__main__ import main


@pytest.fixture
def fails(capsys, tmp_path):
    """Run the command; returns its message. It wrote nothing."""

    def fails(*arguments, output=tmp_path / "report", status=1):
        flags = ["--volume", tmp_path / "volume", "--output", output]
        assert main(["report", *map(str, [*arguments, *flags])]) == status
        printed = capsys.readouterr()
        assert printed.out == ""
        assert printed.err.startswith("error: ")
        assert printed.err.count("\n") == 1
        assert not (tmp_path / "report").exists()
        return printed.err.removeprefix("error: ").rstrip("\n")

    return fails


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    volume = tmp_path_factory.mktemp("published") / "volume"
    return volume, catalogue.publish_to(volume)


@pytest.fixture
def version(published, tmp_path):
    publications.copy(published[0], tmp_path / "volume")
    return published[1]


def test_a_version_that_is_damaged_or_not_there_is_named(fails, tmp_path, version):
    absent = "20261124T120000Z-3fa9c1"
    assert f"version {absent!r} isn't on the volume" in fails(absent)
    path = layout.version_dir(tmp_path / "volume", version) / layout.ITEM_VECTORS
    path.chmod(0o600)
    damage(path, -1)
    assert f"{path}: SHA-256" in fails()
    layout.label_file(tmp_path / "volume", "current").unlink()
    assert "label 'current': nothing is published under it" in fails()


@pytest.mark.parametrize("size", [99, 10**7 + 1])
def test_options_that_do_not_fit_are_named(fails, version, size):
    message = f"--max-items is {size}, but should be in 100..10000000"
    assert message in fails(version, "--max-items", size, status=2)


def test_a_publication_without_users_has_nobody_to_ask_for(fails, tmp_path):
    of = catalogue.source()
    nobody = catalogue.source(
        users=type(of.users).build([]),
        embeddings=type(of.embeddings)(of.embeddings.item_vectors, of.embeddings.user_vectors[:0]),
        seen=cases.nothing(0),
        held_out=None,
    )
    version = catalogue.publish_to(tmp_path / "volume", nobody)
    message = "but should be one with users: a report asks what they would like"
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


def test_a_folder_that_cannot_be_written_is_an_error_before_anything_is_measured(
    fails, monkeypatch, tmp_path, version
):
    unasked = lambda *_: pytest.fail("half an hour for nothing")  # noqa: E731
    monkeypatch.setattr("trainer.report.measure_accuracy", unasked)
    file = tmp_path / "file"
    file.touch()
    for output, reason in ((file, "File exists"), (file / "report", "Not a directory")):
        message = fails(version, output=output, status=2)
        assert str(output) in message
        assert reason in message
