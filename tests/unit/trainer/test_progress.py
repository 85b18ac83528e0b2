from __future__ import annotations

import pytest

from trainer.progress import Bars, Silent


def test_a_bar_tells_its_name_and_how_much_was_done_on_standard_error(capsys):
    with Bars().step("Training, epochs", 12) as advance:
        advance(5)
        advance(7)
    output = capsys.readouterr()
    assert output.out == ""
    assert "Training, epochs" in output.err
    assert "12/12" in output.err


def test_each_step_has_a_line(capsys):
    bars = Bars()
    for name in ("one", "two"):
        with bars.step(name, 1) as advance:
            advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["one", "two"]


def test_a_step_that_fails_shows_how_far_it_came(capsys):
    def fail_halfway():
        with Bars().step("Index", 10) as advance:
            advance(5)
            raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        fail_halfway()
    assert "5/10" in " ".join(capsys.readouterr().err.split())


def test_silence_is_silent(capsys):
    with Silent().step("Training, epochs", 2) as advance:
        advance(2)
    assert capsys.readouterr() == ("", "")
