"""What keeps a service from starting is said in one line."""

import os

import pytest

from lightfm_retriever.hosting.observing import logs
from retriever.__main__ import main
from tests import retrievable


@pytest.fixture
def refused(capsys, monkeypatch):
    """Starts what ends by itself, in this process; returns the one line that it says."""
    # Else the log of later tests goes where this one's does.
    monkeypatch.setattr(logs, "configure", lambda *_, **__: None)

    def refused(*arguments):
        found = main(["serve", *map(os.fspath, arguments)])
        output = capsys.readouterr()
        assert (found, output.out) == (1, "")
        assert output.err.splitlines()[-1].startswith("error: ")
        return output.err

    return refused


def test_a_volume_that_is_no_folder(refused, tmp_path):
    for volume in (__file__, tmp_path / "missing"):
        assert refused("--volume", volume) == f"error: --volume {volume} isn't a folder\n"
    assert "File name too long" in refused("--volume", "x" * 300)
    nameless = tmp_path / os.fsdecode(b"\xff")
    nameless.mkdir()
    assert "--volume" in refused("--volume", nameless)


def test_a_port_that_another_service_serves_or_is_about_to(refused, start, tmp_path):
    version = retrievable.publish(tmp_path)
    service = start(tmp_path, workers=1, serving=False)
    arguments = ("--volume", tmp_path, "--listen", service.target)
    expected = f"error: --listen {service.target}: "
    assert refused(*arguments).startswith(expected)
    service.wait_until_all_serve(version)
    assert refused(*arguments).startswith(expected)
    assert service.status().version == version
