"""What keeps a service from starting is said in one line; of its port it is in parent/test_port.py."""

import os

from lightfm_retriever.hosting.observing import logs
from retriever.__main__ import main


def test_a_volume_that_is_no_folder(tmp_path, capsys, monkeypatch):
    # Else the log of later tests goes where this one's does.
    monkeypatch.setattr(logs, "configure", lambda *_, **__: None)
    nameless = tmp_path / os.fsdecode(b"\xff")
    nameless.mkdir()
    for volume, reason in (
        (__file__, f"{__file__} isn't a folder: give the folder that the trainer publishes to\n"),
        (
            f"{tmp_path}/missing",
            f"{tmp_path}/missing isn't a folder: give the folder that the trainer publishes to\n",
        ),
        ("x" * 300, "File name too long"),
        (str(nameless), ""),
    ):
        assert main(["serve", "--volume", volume]) == 1
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err.startswith("error: --volume ")
        assert reason in output.err
